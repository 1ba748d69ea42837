// Latencies of request spans by phase, and budgets on their quantiles. Pure; one thread.
#pragma once

#include <string>
#include <vector>

#include "conformance/judge.h"
#include "conformance/observed.h"

namespace touchstone::conformance {

/// Phases that can be read from spans: "queue", "prefill", "ttft", "decode", "inference", "e2e" are
/// the profile's names; "tpot" is decode time over the tokens after the first.
std::vector<std::string> known_phases();

/// Seconds, one for each request span that has the phase, in the spans' order.
std::vector<double> phase_samples(const SpanIndex& index, const Profile& profile,
                                  const std::string& phase);

/// Pass when the whole confidence interval is within the threshold, fail when it is all beyond,
/// unknown when the threshold lies inside or the sample is too small to say.
result::BudgetRow judge_budget(const Budget& budget, const std::vector<double>& samples);

}  // namespace touchstone::conformance
