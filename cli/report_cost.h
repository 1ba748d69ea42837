// `touchstone report cost`: who used how much, and what it costs.
#pragma once

#include <functional>
#include <optional>

#include "cli/verb.h"

namespace touchstone::cli {

/// Adds the subcommand to `report`; the result runs it, and says nothing when it was not asked for.
std::function<std::optional<Exit>()> add_report_cost(CLI::App& report);

}  // namespace touchstone::cli
