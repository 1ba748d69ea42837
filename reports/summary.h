// What several reports say of a run in the same way: its checks by group, its findings by weight,
// its budgets in words. Pure; thread-safe. Pointers are into the report.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "result/result_model.h"

namespace touchstone::reports {

/// How many checks of a group came to what; a warning is a failure too weak to fail the report.
struct GroupCounts {
  std::string group;
  int64_t failed = 0, warned = 0, unknown = 0, passed = 0, skipped = 0;
};
/// In the order in which the groups appear.
std::vector<GroupCounts> counts_by_group(const result::Report& report);

using CheckFinding = std::pair<const result::CheckOutcome*, const result::Finding*>;
/// Strongest level first, then the widest, then the order of the checks.
std::vector<CheckFinding> findings_by_weight(const result::Report& report);

/// "ttft p95 within 0.25 s"
std::string budget_name(const result::BudgetRow& budget);
/// "0.2 s over 62 samples", "no sample"
std::string budget_measured(const result::BudgetRow& budget);

}  // namespace touchstone::reports
