// Was the load what the suite wanted? A request that failed cannot show what its telemetry would
// have been, and a server that died owes nothing and would pass everything else.
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

/// "500", "no answer", "200 and a broken answer (stream ended without [DONE])".
std::string answer_text(const records::LedgerEntry& entry) {
  const std::string why = entry.error.empty() ? "" : " (" + entry.error + ")";
  if (entry.status == 0) return "no answer" + why;
  const bool broken = entry.outcome == records::ClientOutcome::kFailed && entry.status < 300;
  return std::to_string(entry.status) + (broken ? " and a broken answer" : "") + why;
}

/// Whoever hangs up before the answer begins sees no status.
bool answered_as_expected(const records::LedgerEntry& entry) {
  if (entry.outcome == records::ClientOutcome::kHungUp && entry.status == 0) return true;
  return entry.status == entry.expect_status && entry.outcome != records::ClientOutcome::kFailed;
}

}  // namespace

void check_request_answered(const CheckInput& input, Recorder& recorder) {
  if (!input.evidence.ledger) {
    recorder.not_applicable("no ledger: what was sent is not known");
    return;
  }
  recorder.not_applicable("the ledger does not say which status was expected");
  for (const records::LedgerEntry& entry : *input.evidence.ledger) {
    if (!entry.expect_status) continue;
    recorder.examined();
    if (answered_as_expected(entry)) continue;
    const std::string expected = std::to_string(*entry.expect_status);
    recorder.violation(
        {.fold = answer_text(entry) + " for " + expected,
         .signal = "ledger",
         .subject = std::string(to_string(entry.outcome)) + " requests",
         .message = describe(entry) + " got " + answer_text(entry) + ", expected " + expected,
         .expected = expected,
         .actual = answer_text(entry),
         .place = {.trace_id = entry.trace_id.hex(),
                   .span_id = "",
                   .request = describe(entry),
                   .input = {}}});
  }
}

}  // namespace touchstone::conformance
