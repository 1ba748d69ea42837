// Was the load what the suite wanted? A request that failed cannot show what its telemetry would
// have been, and a server that died owes nothing and would pass everything else.
#include "base/text.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

using records::ClientOutcome;
using records::LedgerEntry;

/// "500", "no answer", "200 and a broken answer (stream ended without [DONE])".
std::string answer_text(const LedgerEntry& entry) {
  const std::string why = entry.error.empty() ? "" : " (" + entry.error + ")";
  if (entry.status == 0) return "no answer" + why;
  const bool broken = entry.outcome == ClientOutcome::kFailed && entry.status < 300;
  return std::to_string(entry.status) + (broken ? " and a broken answer" : "") + why;
}

std::string expectation_text(const LedgerEntry& entry) {
  return entry.expect_status ? std::to_string(*entry.expect_status) : "a whole answer";
}

void request_answered(const CheckInput& input, Recorder& recorder) {
  if (!input.evidence.ledger) return;
  const std::vector<LedgerEntry>& ledger = *input.evidence.ledger;
  int64_t answered = 0;
  for (const LedgerEntry& entry : ledger) answered += answered_as_expected(entry);
  const auto sent = static_cast<double>(ledger.size());
  const bool enough = static_cast<double>(answered) >= input.answered_share * sent;
  for (const LedgerEntry& entry : ledger) {
    recorder.examined();
    if (answered_as_expected(entry)) continue;
    const std::string expected = expectation_text(entry);
    recorder.violation(
        {.level = enough ? result::Level::kMay : result::Level::kMust,
         .fold = answer_text(entry) + " for " + expected,
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
  recorder.summary(format_count(answered) + " of " + format_count(ledger.size()) +
                   " requests answered as expected" +
                   (enough && answered < static_cast<int64_t>(ledger.size())
                        ? ", enough for a share of " + format_double(input.answered_share)
                        : ""));
}

constexpr CheckRow kRows[] = {
    {.id = "request.answered",
     .title = "Every request was answered as the workload expects",
     .group = "load",
     .of = CheckRow::Of::kRun,
     .source = "Touchstone 0.1: a verdict on a load holds only if the load took place.",
     .nothing = "no ledger: what was sent is not known",
     .at_end = request_answered}};

}  // namespace

CheckTable answer_checks() { return kRows; }

}  // namespace touchstone::conformance
