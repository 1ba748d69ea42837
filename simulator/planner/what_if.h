// What a plan's report is made of: the chosen fleet under other conditions, and the words for a
// broken limit. Thread-compatible.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "result/result_model.h"
#include "simulator/planner/plan.h"

namespace touchstone::simulator {

/// "3 x h100"
std::string fleet_name(const HardwarePlan& plan, int64_t replicas);
/// "1.5 s", "endless"
std::string seconds_text(double seconds);
/// "ttft p95 is 3.2 s against 1 s"; the limit that is broken worst.
std::string broken_limit(const Slos& slos, const TrialResult& result);
/// The largest share of a limit that is used; above 1 it is broken.
double limit_used(const Slos& slos, const Attainment& attainment);

/// The trial of a fleet as planned. `model`: of its hardware.
Trial trial_of(const PlanOptions& options, const HardwarePlan& plan, const StepTimeModel& model,
               int64_t replicas);
/// Trials in parallel, results in their order. ERRORS: the first one's.
Result<std::vector<TrialResult>> run_all(const Trace& trace, const std::vector<Trial>& trials,
                                         const PlanOptions& options);

/// A table of what would change the number of replicas.
Status add_sensitivity(const Trace& trace, const HardwarePlan& best, const PlanOptions& options,
                       result::Report& report);
/// The fleet under half to twice the load: a chart, and a table of what breaks first.
Status add_loads(const Trace& trace, const HardwarePlan& best, const PlanOptions& options,
                 result::Report& report);

}  // namespace touchstone::simulator
