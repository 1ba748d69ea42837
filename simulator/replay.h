// Exact replay of a step log: the scheduler gets the logged inputs in the logged order, and every
// plan, preemption, finish and gauge is compared with what was logged (INV-9). No model of time is
// involved: steps start and end when the log says.
// Thread-compatible.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "records/request_record.h"
#include "records/schedule_difference.h"
#include "records/step_log.h"
#include "simulator/request.h"

namespace touchstone::simulator {

struct Replay {
  std::vector<records::StepRecord> steps;        ///< as replayed, with the logged times
  std::vector<records::RequestRecord> requests;  ///< in the order in which they ended
  scheduler::Counters counters;
  /// The first place where log (before) and replay (after) part; steps after it are not replayed.
  std::optional<records::ScheduleDifference> difference;
};

/// ERRORS: kInvalidArgument when the log's header is invalid, an input has no record, or a record
/// does not fit the configuration.
Result<Replay> replay_step_log(const records::StepLog& log,
                               const std::vector<records::RequestRecord>& records);

}  // namespace touchstone::simulator
