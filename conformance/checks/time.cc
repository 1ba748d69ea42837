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

}  // namespace

void check_time_order(const CheckInput& input, Recorder& recorder) {
  recorder.not_applicable("no span");
  for (const SpanView& view : input.index.spans) {
    recorder.examined();
    const int64_t duration = view.span->end_unix_ns - view.span->start_unix_ns;
    if (duration >= 0) continue;
    recorder.violation(
        view, {.fold = "",
               .message = "the span ends " + format_duration(-duration) + " before it starts",
               .expected = "end >= start",
               .actual = format_duration(duration)});
  }
}

void check_time_bounds(const CheckInput& input, Recorder& recorder) {
  recorder.not_applicable("no span");
  const int64_t skew = input.profile.time.clock_skew_ns;
  const int64_t now = input.evidence.now_unix_ns;
  for (const SpanView& view : input.index.spans) {
    recorder.examined();
    const telemetry::Span& span = *view.span;
    if (span.start_unix_ns < kEarliestUnixNs) {
      recorder.violation(view, {.fold = "early",
                                .message = "the span starts at " + format_utc(span.start_unix_ns) +
                                           ", before OpenTelemetry existed",
                                .expected = "a time after 2019",
                                .actual = format_utc(span.start_unix_ns)});
    }
    if (now > 0 && span.end_unix_ns > now + skew) {
      recorder.violation(view, {.fold = "late",
                                .message = "the span ends at " + format_utc(span.end_unix_ns) +
                                           ", after it was judged",
                                .expected = "at most " + format_utc(now),
                                .actual = format_utc(span.end_unix_ns)});
    }
    const auto max_duration = input.profile.time.max_duration_ns;
    const int64_t duration = span.end_unix_ns - span.start_unix_ns;
    if (max_duration && duration > *max_duration) {
      recorder.violation(view, {.fold = "long",
                                .message = "the span lasts " + format_duration(duration),
                                .expected = "at most " + format_duration(*max_duration),
                                .actual = format_duration(duration)});
    }
  }
}

void check_time_client_window(const CheckInput& input, Recorder& recorder) {
  if (!input.matching) {
    recorder.not_applicable("no ledger to compare with");
    return;
  }
  recorder.not_applicable("no span that belongs to a request of the ledger");
  const int64_t skew = input.profile.time.clock_skew_ns;
  for (const RequestMatch& match : input.matching->requests) {
    const records::LedgerEntry& entry = *match.entry;
    if (entry.sent_unix_ns == 0) continue;
    for (const size_t i : match.spans) {
      const SpanView& view = input.index.spans[i];
      recorder.examined();
      const int64_t early = entry.sent_unix_ns - view.span->start_unix_ns;
      // A server may go on after its client hung up, so only whole responses bound the end.
      const bool bounded = entry.outcome == records::ClientOutcome::kCompleted && entry.done_ns > 0;
      const int64_t late =
          bounded ? view.span->end_unix_ns - (entry.sent_unix_ns + entry.done_ns) : 0;
      const int64_t off = std::max(early, late);
      if (off <= skew) continue;
      recorder.violation(
          view, {.fold = early > skew ? "early" : "late",
                 .message = describe(entry) + ": the span " +
                            (early > skew ? "starts " + format_duration(early) +
                                                " before the "
                                                "client sent the request"
                                          : "ends " + format_duration(late) +
                                                " after the "
                                                "client had the whole response"),
                 .expected = "within what the client saw, give or take " + format_duration(skew),
                 .actual = format_duration(off) + " outside",
                 .context = {{"request", describe(entry)}}});
    }
  }
}

void check_latency_within_span(const CheckInput& input, Recorder& recorder) {
  recorder.not_applicable("no span with a latency in seconds");
  for (const SpanView& view : input.index.spans) {
    if (view.type == nullptr) continue;
    const double duration = *SpanIndex::number(view, input.profile, "duration");
    for (const AttributeRule& rule : view.type->attributes) {
      if (rule.unit != "s") continue;
      const auto latency = SpanIndex::number(view, input.profile, rule.key);
      if (!latency) continue;
      recorder.examined();
      if (*latency <= duration + kLatencySlackS) continue;
      recorder.violation(
          view, {.level = rule.level,
                 .fold = rule.key,
                 .subject = "attribute " + rule.key + " of " + view.type->type,
                 .message = rule.key + " is " + format_double(*latency) +
                            " s, longer than its span of " + format_double(duration) + " s",
                 .expected = "at most " + format_double(duration) + " s",
                 .actual = format_double(*latency) + " s",
                 .context = {{"attribute", rule.key}}});
    }
  }
}

}  // namespace touchstone::conformance
