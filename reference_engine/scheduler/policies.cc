#include "reference_engine/scheduler/policies.h"

#include "base/check.h"

namespace touchstone::scheduler {

const std::vector<PolicyRow>& policies() {
  static const std::vector<PolicyRow> table = {
      {Policy::kFcfs, "fcfs", &make_fcfs_policy},
      {Policy::kPriority, "priority", &make_priority_policy},
  };
  return table;
}

const char* to_string(Policy policy) {
  for (const PolicyRow& row : policies()) {
    if (row.policy == policy) return row.name;
  }
  BASE_CHECK(false, "policy without a row: ", static_cast<int>(policy));
}

std::optional<Policy> parse_policy(std::string_view name) {
  for (const PolicyRow& row : policies()) {
    if (row.name == name) return row.policy;
  }
  return std::nullopt;
}

std::unique_ptr<SchedulingPolicy> make_policy(Policy policy) {
  for (const PolicyRow& row : policies()) {
    if (row.policy == policy) return row.make();
  }
  BASE_CHECK(false, "policy without a row: ", static_cast<int>(policy));
}

}  // namespace touchstone::scheduler
