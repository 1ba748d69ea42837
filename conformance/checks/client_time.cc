// Times and durations of spans against what their client saw.
#include <algorithm>
#include <cstdlib>

#include "base/clock.h"
#include "base/text.h"
#include "conformance/checks/check.h"
#include "conformance/clock_offset.h"

namespace touchstone::conformance {
namespace {

constexpr char kNoLedger[] = "no ledger to compare with";

/// By the one offset between the two clocks that fits the run best.
void client_window(const CheckInput& input, Recorder& recorder) {
  if (!input.observed.matching) {
    recorder.not_applicable(kNoLedger);
    return;
  }
  const int64_t slack = input.profile().time.clock_skew_ns;
  const auto offsets = clock_offsets(*input.observed.matching, slack);
  for (const RequestMatch& request : input.observed.matching->requests()) {
    const auto offset = offsets.find(request.entry->subject);
    if (request.found == 0 || request.entry->sent_unix_ns == 0 || offset == offsets.end()) continue;
    recorder.examined();
    const int64_t outside = offset->second.outside_ns(request);
    if (std::abs(outside) <= slack) continue;
    const std::string how =
        outside < 0
            ? "starts " + format_duration(-outside) + " before the client sent the request"
            : "ends " + format_duration(outside) + " after the client had the whole response";
    recorder.violation(
        {.fold = outside < 0 ? "early" : "late",
         .subject = "request times",
         .message = describe(*request.entry) + ": a span of it " + how +
                    ", by the clocks that fit the others (server minus client: " +
                    to_string(offset->second) + ")",
         .expected = "within what the client saw, give or take " + format_duration(slack),
         .actual = format_duration(std::abs(outside)) + " outside",
         .place = {.trace_id = request.entry->trace_id.hex(),
                   .span_id = request.first.hex(),
                   .request = describe(*request.entry),
                   .input = {}}});
  }
}

/// No clocks are compared: two durations of one request, each by its own clock.
void client_duration(const CheckInput& input, const SpanView& view, Recorder& recorder) {
  if (!input.observed.matching) recorder.not_applicable(kNoLedger);
  if (view.request == nullptr) return;
  const records::LedgerEntry& entry = *view.request->entry;
  if (entry.outcome != records::ClientOutcome::kCompleted || entry.done_ns <= 0) return;
  constexpr int64_t kSlackNs = 5 * kNsPerMs;  // clocks run at different speeds
  const auto compare = [&](const char* word, std::optional<double> seconds, int64_t client_ns,
                           int64_t slack_ns) {
    if (!seconds) return;
    recorder.examined();
    const auto server_ns = static_cast<int64_t>(std::min(*seconds, 1e9) * kNsPerSecond);
    if (server_ns <= client_ns + slack_ns) return;
    recorder.violation(
        view, {.fold = word,
               .message = describe(entry) + ": the " + word + " of its span is " +
                          format_duration(server_ns) + ", but its client waited " +
                          format_duration(client_ns),
               .expected = "at most " + format_duration(client_ns),
               .actual = format_duration(server_ns),
               .place = {.trace_id = "", .span_id = "", .request = describe(entry), .input = {}}});
  };
  // A server may end the span when it has handed the response over.
  compare("duration", view.duration_s(), entry.done_ns, input.profile().time.clock_skew_ns);
  compare("e2e", view.number("e2e"), entry.done_ns, kSlackNs);
  // Of several choices the client sees one come first.
  if (entry.choices == 1 && entry.first_chunk_ns) {
    compare("ttft", view.number("ttft"), *entry.first_chunk_ns, kSlackNs);
  }
}

constexpr CheckRow kRows[] = {
    {.id = "time.client_window",
     .title = "Spans lie within what the client saw",
     .group = "time",
     .source = "Touchstone 0.1: a server works on a request between its sending and its response; "
               "the offset between the two clocks is what fits the run best.",
     .nothing = "no span that belongs to a request of the ledger",
     .at_end = client_window},
    {.id = "time.client_duration",
     .title = "No span lasts longer than its client waited",
     .group = "time",
     .source = "Touchstone 0.1: the client waits at least as long as the server works.",
     .nothing = "no span of an answered request whose client measured how long it took",
     .on_span = client_duration}};

}  // namespace

CheckTable client_time_checks() { return kRows; }

}  // namespace touchstone::conformance
