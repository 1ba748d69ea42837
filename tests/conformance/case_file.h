// Case files of checks, tests/conformance/cases/<id>.json:
//   id, title, why, source, level, cases: [{name, input, verdict, findings}].
// `input`: spans, ledger (lists of what differs from one good span and its request), metrics,
// metrics_before, collector_metrics (lines), span_problems, suppressions, now_ms, answered_share,
// profile (lines of YAML; vllm-v1 when absent). `findings`: key absent = unchecked, present = exact; `message` and
// each `context` value must be contained. As many findings as listed, in any order.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "conformance/judge.h"

namespace touchstone::conformance {

struct CaseInput {
  Evidence evidence;
  Profile profile;
  JudgeOptions options;
};

/// Ends the test program on a key that no reader knows: a misspelled case tests nothing.
CaseInput read_case_input(const nlohmann::json& input);

/// Empty when the outcome is what the case says, else what differs.
std::string compare(const nlohmann::json& expected, const result::CheckOutcome& outcome);

}  // namespace touchstone::conformance
