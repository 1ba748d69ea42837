// Times of spans: in order, sane, with their events inside and no latency longer than the span.
#include <algorithm>

#include "base/clock.h"
#include "base/text.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

// Spans older than OpenTelemetry itself are clock errors: 2019-01-01T00:00:00Z.
constexpr int64_t kEarliestUnixNs = 1'546'300'800 * kNsPerSecond;
// The clock of a host that judges may be this far behind that of a server.
constexpr int64_t kAheadNs = 3600 * kNsPerSecond;
// A latency may exceed its span by what reading two clocks costs.
constexpr double kLatencySlackS = 0.005;

void order(const CheckInput&, const SpanView& view, Recorder& recorder) {
  recorder.examined();
  if (view.span->end_unix_ns >= view.span->start_unix_ns) return;
  const int64_t early = view.span->start_unix_ns - view.span->end_unix_ns;
  recorder.violation(view,
                     {.fold = "",
                      .message = "the span ends " + format_duration(early) + " before it starts",
                      .expected = "end >= start",
                      .actual = format_duration(-early)});
}

void bounds(const CheckInput& input, const SpanView& view, Recorder& recorder) {
  recorder.examined();
  const telemetry::Span& span = *view.span;
  const TimeRules& rules = input.profile().time;
  const int64_t now = input.evidence.now_unix_ns;
  if (span.start_unix_ns < kEarliestUnixNs) {
    recorder.violation(view, {.fold = "early",
                              .message = "the span starts at " + format_utc(span.start_unix_ns) +
                                         ", before OpenTelemetry existed",
                              .expected = "a time after 2019",
                              .actual = format_utc(span.start_unix_ns)});
  }
  if (now > 0 && span.end_unix_ns > now + kAheadNs) {
    recorder.violation(view, {.fold = "late",
                              .message = "the span ends at " + format_utc(span.end_unix_ns) +
                                         ", after it was judged",
                              .expected = "at most " + format_utc(now),
                              .actual = format_utc(span.end_unix_ns)});
  }
  const int64_t duration = span.end_unix_ns - span.start_unix_ns;
  if (rules.max_duration_ns && duration > *rules.max_duration_ns) {
    recorder.violation(view, {.fold = "long",
                              .message = "the span lasts " + format_duration(duration),
                              .expected = "at most " + format_duration(*rules.max_duration_ns),
                              .actual = format_duration(duration)});
  }
}

void events_within(const CheckInput&, const SpanView& view, Recorder& recorder) {
  if (view.rules().events.empty()) return;
  const telemetry::Span& span = *view.span;
  constexpr auto kSlackNs = static_cast<int64_t>(kLatencySlackS * kNsPerSecond);
  for (const telemetry::Event& event : span.events) {
    recorder.examined();
    const int64_t early = span.start_unix_ns - event.time_unix_ns;
    const int64_t late = event.time_unix_ns - span.end_unix_ns;
    if (std::max(early, late) <= kSlackNs) continue;
    const std::string how = early > late ? format_duration(early) + " before its span starts"
                                         : format_duration(late) + " after its span ends";
    recorder.violation(view, {.fold = event.name + (early > late ? " early" : " late"),
                              .message = "the event " + quote(event.name) + " is " + how,
                              .expected = "within its span",
                              .actual = how,
                              .context = {{"event", event.name}},
                              .rule = view.rules().where});
  }
}

void latency_within_span(const CheckInput&, const SpanView& view, Recorder& recorder) {
  const double duration = view.duration_s();
  const std::vector<CompiledRule>& rules = view.type->rules();
  for (size_t slot = 0; slot < rules.size(); ++slot) {
    if (!rules[slot].is_time || view.values[slot] == nullptr) continue;
    const AttributeRule& rule = *rules[slot].rule;
    const auto latency = view.number(rules[slot].number);
    if (!latency) continue;
    recorder.examined();
    if (*latency <= duration + kLatencySlackS) continue;
    recorder.violation(view,
                       {.level = rule.level,
                        .fold = rule.key,
                        .subject = "attribute " + rule.key + " of " + view.type->name(),
                        .message = rule.key + " is " + format_double(*latency) +
                                   " s, longer than its span of " + format_double(duration) + " s",
                        .expected = "at most " + format_double(duration) + " s",
                        .actual = format_double(*latency) + " s",
                        .context = {{"attribute", rule.key}},
                        .rule = rule.where});
  }
}

using enum CheckRow::Of;
constexpr CheckRow kRows[] = {
    {.id = "time.order",
     .title = "Spans end after they start",
     .group = "time",
     .of = kRun,
     .source = "opentelemetry-proto v1.11.0, trace.proto, Span.end_time_unix_nano: semantically "
               "expected to be at or after the start.",
     .nothing = "no span",
     .on_span = order},
    {.id = "time.bounds",
     .title = "Span times are sane",
     .group = "time",
     .of = kRun,
     .source = "opentelemetry-proto v1.11.0, trace.proto: times are UNIX epoch nanoseconds.",
     .nothing = "no span",
     .on_span = bounds},
    {.id = "time.event_within_span",
     .title = "Events lie within their span",
     .group = "time",
     .demanded_by = CheckRow::Source::kTheProfile,
     .source = "the profile's span types (events) at its pinned version: each is a moment of its "
               "span.",
     .nothing = "no span of a type for which the profile names events",
     .on_span = events_within},
    {.id = "time.latency_within_span",
     .title = "No latency is longer than its span",
     .group = "time",
     .source = "Touchstone 0.1: each latency attribute is an interval within its request.",
     .nothing = "no span with a latency in a unit of time",
     .on_span = latency_within_span}};

}  // namespace

CheckTable time_checks() { return kRows; }

}  // namespace touchstone::conformance
