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
#include "records/step_log.h"
#include "simulator/request.h"

namespace touchstone::simulator {

/// The first place where log and replay part.
struct ScheduleDifference {
  int64_t step = 0;
  std::optional<uint64_t> request;
  std::string what;  ///< "computed", "preempted", "free_blocks", …
  std::string logged;
  std::string replayed;
};

struct Replay {
  std::vector<records::StepRecord> steps;        ///< as replayed, with the logged times
  std::vector<records::RequestRecord> requests;  ///< in the order in which they ended
  scheduler::Counters counters;
  std::optional<ScheduleDifference> difference;  ///< steps after it are not replayed
};

/// ERRORS: kInvalidArgument when the log's header is invalid, an input has no record, or a record
/// does not fit the configuration.
Result<Replay> replay_step_log(const records::StepLog& log,
                               const std::vector<records::RequestRecord>& records);

}  // namespace touchstone::simulator
