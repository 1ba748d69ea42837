// Completeness is decided by accounting: what the ledger says was sent against the spans that came.
#include <algorithm>

#include "base/text.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

bool needs_matching(const CheckInput& input, Recorder& recorder) {
  if (!input.profile().accounting) recorder.not_applicable("the profile has no accounting rules");
  return input.observed.matching.has_value();
}

std::string owes(int64_t least) {
  return std::to_string(least) + (least == 1 ? " span" : " spans");
}

void missing(const CheckInput& input, Recorder& recorder) {
  if (!needs_matching(input, recorder)) return;
  int64_t owed = 0;
  int64_t lost = 0;
  int64_t requests = 0;
  for (const RequestMatch& match : input.observed.matching->requests()) {
    recorder.examined();
    owed += match.least;
    lost += match.missing();
    requests += match.missing() > 0;
  }
  for (const RequestMatch& match : input.observed.matching->requests()) {
    if (match.missing() == 0) continue;
    const records::LedgerEntry& entry = *match.entry;
    recorder.violation(
        {.fold = to_string(entry.outcome),
         .signal = "ledger",
         .subject = std::string(to_string(entry.outcome)) + " requests",
         .message = std::to_string(lost) + " of " + std::to_string(owed) +
                    " owed spans are missing, of " + std::to_string(requests) +
                    (requests == 1 ? " request" : " requests") + "; the first is " +
                    describe(entry) + ", " + to_string(entry.outcome) + " with status " +
                    std::to_string(entry.status) + ", which owes " + owes(match.least) +
                    " and has " + std::to_string(match.found),
         .expected = owes(match.least),
         .actual = std::to_string(match.found),
         .context = {{"request", std::to_string(entry.index) + ":" + entry.trace_id.hex()},
                     {"spans_lost", std::to_string(lost)},
                     {"spans_owed", std::to_string(owed)}},
         .place = {.trace_id = entry.trace_id.hex(),
                   .span_id = "",
                   .request = describe(entry),
                   .input = {}}});
  }
  recorder.summary(lost == 0
                       ? "all " + std::to_string(owed) + " owed spans are there"
                       : std::to_string(lost) + " of " + std::to_string(owed) + " owed spans lost");
}

void surplus(const CheckInput& input, Recorder& recorder) {
  if (!needs_matching(input, recorder)) return;
  for (const RequestMatch& match : input.observed.matching->requests()) {
    recorder.examined();
    if (match.surplus() == 0) continue;
    const records::LedgerEntry& entry = *match.entry;
    const std::string kind = entry.sampled ? to_string(entry.outcome) : std::string("not sampled");
    recorder.violation({.fold = kind,
                        .signal = "ledger",
                        .subject = kind + " requests",
                        .message = describe(entry) + ", " + kind + ", may have at most " +
                                   owes(match.most) + " and has " + std::to_string(match.found),
                        .expected = "at most " + owes(match.most),
                        .actual = std::to_string(match.found),
                        .place = {.trace_id = entry.trace_id.hex(),
                                  .span_id = match.last.hex(),
                                  .request = describe(entry),
                                  .input = {}}});
  }
}

void unexplained(const CheckInput& input, const SpanView& view, Recorder& recorder) {
  if (!needs_matching(input, recorder) || !view.is_request()) return;
  recorder.examined();
  if (view.request != nullptr || !view.is_first()) return;
  recorder.violation(view, {.fold = "",
                            .signal = "ledger",
                            .subject = "unexplained spans",
                            .message = "a span of trace " + view.span->trace_id.hex() +
                                       " belongs to no request that was sent",
                            .expected = "a request of the ledger",
                            .actual = "none"});
}

void distinct_requests(const CheckInput& input, Recorder& recorder) {
  if (!needs_matching(input, recorder)) return;
  // Every request is in one class by construction; what can go wrong is a trace that two requests
  // claim, which would let one span answer for both.
  std::map<std::pair<TraceId, SpanId>, const records::LedgerEntry*> owners;
  for (const RequestMatch& match : input.observed.matching->requests()) {
    const records::LedgerEntry& entry = *match.entry;
    recorder.examined();
    if (!entry.trace_id.is_valid() || !entry.span_id.is_valid()) continue;
    const auto [owner, is_new] = owners.try_emplace({entry.trace_id, entry.span_id}, &entry);
    if (is_new) continue;
    recorder.violation({.fold = "",
                        .signal = "ledger",
                        .subject = "ledger",
                        .message = describe(entry) + " has the trace and span id of " +
                                   describe(*owner->second) +
                                   ", so their spans cannot be told apart",
                        .expected = "its own traceparent for each request",
                        .actual = entry.trace_id.hex() + "-" + entry.span_id.hex(),
                        .place = {.trace_id = entry.trace_id.hex(),
                                  .span_id = "",
                                  .request = describe(entry),
                                  .input = {}}});
  }
}

constexpr char kNoLedger[] = "no ledger: what was sent is not known";
constexpr char kAccounting[] =
    "the profile's accounting at its pinned version, against the ledger.";
using enum CheckRow::Source;
constexpr CheckRow kRows[] = {
    {.id = "completeness.missing",
     .title = "Every owed span arrived",
     .group = "completeness",
     .demanded_by = kTheProfile,
     .source = kAccounting,
     .nothing = kNoLedger,
     .at_end = missing},
    {.id = "completeness.surplus",
     .title = "No request has more spans than it may",
     .group = "completeness",
     .demanded_by = kTheProfile,
     .source = kAccounting,
     .nothing = kNoLedger,
     .at_end = surplus},
    {.id = "completeness.unexplained",
     .title = "Every span belongs to a request that was sent",
     .group = "completeness",
     .demanded_by = kTheProfile,
     .source = kAccounting,
     .nothing = kNoLedger,
     .on_span = unexplained},
    {.id = "completeness.ledger",
     .title = "The ledger can tell its requests apart",
     .group = "completeness",
     .source = "W3C Trace Context level 2, section 3.2.2.4: each request has its own parent-id.",
     .nothing = kNoLedger,
     .at_end = distinct_requests}};

}  // namespace

CheckTable completeness_checks() { return kRows; }

}  // namespace touchstone::conformance
