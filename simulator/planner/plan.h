// The planner: a trace, limits and kinds of hardware in; the smallest and the cheapest fleet that
// keeps the limits out, with the flags to set and the proof of each number. Thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "result/result_model.h"
#include "simulator/cluster/hardware.h"
#include "simulator/planner/slo.h"
#include "simulator/planner/trial.h"

namespace touchstone::simulator {

struct PlanOptions {
  std::string trace_name;  ///< for the title
  Slos slos;
  std::string router = "least-requests";
  double rate = 1;           ///< plan for so many times the trace's rate
  int64_t replications = 3;  ///< the trace and others like it; a fleet must keep the limits in all
  bool tune = true;          ///< look for better max-num-seqs and max-num-batched-tokens
  bool sensitivity = true;
  size_t threads = 0;  ///< 0: as many as the machine has cores; changes nothing in the report
};

/// What became of one kind of hardware.
struct HardwarePlan {
  HardwareRow row;
  scheduler::Config config;  ///< with the flags to set
  std::string impossible;    ///< why no fleet of it will do; empty: one will
  int64_t replicas = 0;
  std::optional<int64_t> fails;  ///< replicas that are too few, by simulation
  std::optional<TrialResult> fails_result;
  std::optional<double> rate_per_replica;  ///< the highest, requests/s
  std::optional<double> rate_that_fails;   ///< requests/s
  std::optional<double> kv_full_at;        ///< requests/s on one replica; nullopt: never
  double kv_looked_up_to = 0;              ///< requests/s
  int64_t blocks_needed = 0;               ///< KV blocks that keep the limits
  std::vector<TrialResult> results;        ///< of the fleet, by replication
  double cost_per_hour() const { return static_cast<double>(replicas) * row.price_per_hour; }
};

struct Plan {
  std::vector<HardwarePlan> rows;
  std::optional<size_t> cheapest;  ///< index; by cost, then replicas, then the order of the rows
  std::optional<size_t> smallest;  ///< by replicas, then cost
};

/// Searches the fleets. ERRORS: kInvalidArgument for options or hardware that do not fit together.
Result<Plan> make_plan(const Trace& trace, const std::vector<HardwareRow>& rows,
                       const PlanOptions& options);

/// The plan as a report: pass when a fleet was found, fail when none will do.
/// ERRORS: those of the trials of its sensitivity and double load.
Result<result::Report> plan_report(const Trace& trace, const Plan& plan,
                                   const PlanOptions& options);

/// The fleet as a file for `simulate --cluster`.
std::string cluster_yaml(const HardwarePlan& plan, const std::string& router);

}  // namespace touchstone::simulator
