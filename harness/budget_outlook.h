// What the latency budgets of a suite can come to, before anything is sent. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "conformance/budgets.h"

namespace touchstone::harness {

/// "queue p90 at most 10 s: can pass with 29 samples or more, can fail with 2".
std::string budget_text(const conformance::Budget& budget);

/// What the budget can never come to because the load gives at most `samples_most` samples; nullopt
/// when it can pass and fail.
std::optional<std::string> budget_warning(const conformance::Budget& budget, int64_t samples_most);

}  // namespace touchstone::harness
