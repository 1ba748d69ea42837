// Times of spans: in order, sane, within what the client saw, and no latency longer than its span.
#include <algorithm>

#include "base/clock.h"
#include "base/text.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

// Spans older than OpenTelemetry itself are clock errors: 2019-01-01T00:00:00Z.
constexpr int64_t kEarliestUnixNs = 1'546'300'800 * kNsPerSecond;
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
  if (now > 0 && span.end_unix_ns > now + rules.clock_skew_ns) {
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

void client_window(const CheckInput& input, const SpanView& view, Recorder& recorder) {
  if (!input.observed.matching) {
    recorder.not_applicable("no ledger to compare with");
    return;
  }
  if (view.request == nullptr || view.request->entry->sent_unix_ns == 0) return;
  recorder.examined();
  const records::LedgerEntry& entry = *view.request->entry;
  const int64_t skew = input.profile().time.clock_skew_ns;
  const int64_t early = entry.sent_unix_ns - view.span->start_unix_ns;
  // A server may go on after its client hung up, so only whole responses bound the end.
  const bool bounded = entry.outcome == records::ClientOutcome::kCompleted && entry.done_ns > 0;
  const int64_t late = bounded ? view.span->end_unix_ns - (entry.sent_unix_ns + entry.done_ns) : 0;
  const int64_t off = std::max(early, late);
  if (off <= skew) return;
  const std::string how =
      early > skew ? "starts " + format_duration(early) + " before the client sent the request"
                   : "ends " + format_duration(late) + " after the client had the whole response";
  recorder.violation(
      view, {.fold = early > skew ? "early" : "late",
             .message = describe(entry) + ": the span " + how,
             .expected = "within what the client saw, give or take " + format_duration(skew),
             .actual = format_duration(off) + " outside",
             .place = {.trace_id = "", .span_id = "", .request = describe(entry), .input = {}}});
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
    {.id = "time.client_window",
     .title = "Spans lie within what the client saw",
     .group = "time",
     .source = "Touchstone 0.1: a server works on a request between its sending and its response, "
               "within the clock skew the profile grants.",
     .nothing = "no span that belongs to a request of the ledger",
     .on_span = client_window},
    {.id = "time.latency_within_span",
     .title = "No latency is longer than its span",
     .group = "time",
     .source = "Touchstone 0.1: each latency attribute is an interval within its request.",
     .nothing = "no span with a latency in a unit of time",
     .on_span = latency_within_span}};

}  // namespace

CheckTable time_checks() { return kRows; }

}  // namespace touchstone::conformance
