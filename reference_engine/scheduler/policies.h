// The table of scheduling policies: what stands here is what --scheduling-policy accepts.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "reference_engine/scheduler/config.h"
#include "reference_engine/scheduler/policy.h"

namespace touchstone::scheduler {

struct PolicyRow {
  Policy policy;
  const char* name;
  std::unique_ptr<SchedulingPolicy> (*make)();
};

const std::vector<PolicyRow>& policies();
const char* to_string(Policy policy);
std::optional<Policy> parse_policy(std::string_view name);
std::unique_ptr<SchedulingPolicy> make_policy(Policy policy);

}  // namespace touchstone::scheduler
