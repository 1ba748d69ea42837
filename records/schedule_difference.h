// Where two schedules part: two step logs, or a log and its replay. Times are no part of a
// schedule, so a slower run of equal decisions is equal. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "records/step_log.h"

namespace touchstone::records {

struct ScheduleDifference {
  int64_t step = 0;
  std::optional<uint64_t> request;
  std::string what;  ///< "computed", "preempted", "free_blocks", …
  std::string before;
  std::string after;
};

/// Of the plans and gauges of one step; what it finished is not looked at.
std::optional<ScheduleDifference> plan_difference(const StepRecord& before,
                                                  const StepRecord& after);
/// Of the requests that one step finished.
std::optional<ScheduleDifference> finish_difference(const StepRecord& before,
                                                    const StepRecord& after);
/// "[1, 2]": how `scheduled requests` and `preempted` are told.
std::string join_ids(const std::vector<uint64_t>& ids);
std::vector<uint64_t> scheduled_ids(const StepRecord& step);

/// What a schedule comes to, as far as both sides of a comparison have it.
struct ScheduleTotals {
  int64_t steps = 0;
  int64_t scheduled_tokens = 0;
  int64_t cached_tokens = 0;
  int64_t preemptions = 0;
  int64_t finished = 0;
  int64_t busy_ns = 0;  ///< sum of the steps' durations
};
ScheduleTotals totals_of(const StepLog& log);

struct LogComparison {
  /// Fields of the configuration that are not the same: `what` is the field, "" is absent.
  std::vector<ScheduleDifference> config;
  int64_t equal_steps = 0;  ///< from the first on
  /// The first; inputs of a step count too (who arrived, hung up, completed), their times do not.
  std::optional<ScheduleDifference> schedule;
  ScheduleTotals before;
  ScheduleTotals after;

  bool equal() const { return config.empty() && !schedule.has_value(); }
};
LogComparison compare_logs(const StepLog& before, const StepLog& after);

}  // namespace touchstone::records
