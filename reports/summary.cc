#include "reports/summary.h"

#include <algorithm>

#include "base/text.h"

namespace touchstone::reports {

using result::Verdict;

std::vector<GroupCounts> counts_by_group(const result::Report& report) {
  std::vector<GroupCounts> groups;
  for (const result::CheckOutcome& check : report.checks) {
    auto found = std::find_if(groups.begin(), groups.end(), [&](const GroupCounts& counts) {
      return counts.group == check.group;
    });
    if (found == groups.end()) {
      groups.push_back({});
      found = groups.end() - 1;
      found->group = check.group;
    }
    found->passed += check.verdict == Verdict::kPass;
    found->unknown += check.verdict == Verdict::kUnknown;
    found->skipped += check.verdict == Verdict::kSkip;
    if (check.verdict == Verdict::kFail) {
      ++(result::fails_report(check, report) ? found->failed : found->warned);
    }
  }
  return groups;
}

std::vector<CheckFinding> findings_by_weight(const result::Report& report) {
  std::vector<CheckFinding> findings;
  for (const result::CheckOutcome& check : report.checks) {
    for (const result::Finding& finding : check.findings) findings.emplace_back(&check, &finding);
  }
  std::stable_sort(findings.begin(), findings.end(),
                   [](const CheckFinding& a, const CheckFinding& b) {
                     if (a.second->level != b.second->level) {
                       return a.second->level < b.second->level;
                     }
                     return a.second->count > b.second->count;
                   });
  return findings;
}

std::string budget_name(const result::BudgetRow& budget) {
  return budget.phase + " p" + format_double(budget.quantile * 100) + " within " +
         format_double(budget.threshold_s) + " s";
}

std::string budget_measured(const result::BudgetRow& budget) {
  if (!budget.measured_s) return "no sample";
  return format_double(*budget.measured_s) + " s over " + format_count(budget.samples) + " samples";
}

}  // namespace touchstone::reports
