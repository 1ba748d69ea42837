// What the scheduler decided, in the step log's words: the one translation that the engine, the
// simulator and every replay share, so that equal schedules are equal lines. Pure; thread-safe.
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "records/step_log.h"
#include "reference_engine/scheduler/config.h"
#include "reference_engine/scheduler/types.h"

namespace touchstone::lifecycle {

/// `clock`: "monotonic" for a real run, "virtual" for a simulated one.
records::StepLogHeader header_of(const scheduler::Config& config, const std::string& clock);
/// The inverse. ERRORS: kInvalidArgument when the header is not a valid configuration.
Result<scheduler::Config> config_of(const records::StepLogHeader& header);

/// Adds the plan and `state`, the scheduler's after schedule(). Times and inputs are the caller's.
void add_plan(const scheduler::StepPlan& plan, const scheduler::State& state,
              records::StepRecord& record);
/// Adds what complete() gave back.
void add_finished(std::span<const scheduler::FinishedRequest> finished,
                  records::StepRecord& record);

}  // namespace touchstone::lifecycle
