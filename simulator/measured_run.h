// A measured run of the reference engine (or a simulated one with --output): what its folder says
// of configuration, steps and requests. Thread-compatible.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "records/request_record.h"
#include "records/step_log.h"
#include "reference_engine/scheduler/config.h"
#include "simulator/steptime/fitted.h"

namespace touchstone::simulator {

struct MeasuredRun {
  scheduler::Config config;
  records::StepLog log;
  std::vector<records::RequestRecord> records;
};

/// Reads steps.jsonl and records.jsonl of `folder`. ERRORS: those of the two readers, and
/// kInvalidArgument when a record has another block size than the log.
Result<MeasuredRun> read_measured_run(const std::string& folder);

/// Work and time of each step. The time runs to the start of the next step when that followed at
/// once, so that what the engine does between steps is in it; with asynchronous scheduling it is
/// in the logged time already.
std::vector<StepSample> step_samples(const records::StepLog& log);

}  // namespace touchstone::simulator
