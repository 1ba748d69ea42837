// The recorded vLLM 0.32.0 as evidence: its spans, its metrics, and the ledger that was made from
// the HTTP exchanges (traceparent, status, usage, finish reasons).
#pragma once

#include <string>
#include <vector>

#include "conformance/judge.h"

namespace touchstone::conformance {

/// Spans, ledger and metrics of fixtures/spans/vllm-0.32.0. Ends the test program when one cannot
/// be read.
Evidence recorded_evidence();
/// The ledger that the recorded exchanges make.
std::vector<records::LedgerEntry> ledger_of_exchanges();
Profile vllm_v1();

/// The outcome of one check of a report. REQUIRES: the report has it.
const result::CheckOutcome& outcome_of(const result::Report& report, const std::string& id);

/// All findings as "check_id: message" lines.
std::string findings_text(const result::Report& report);

}  // namespace touchstone::conformance
