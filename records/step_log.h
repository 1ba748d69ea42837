// The step log: what the scheduler did in each engine step. JSON lines, written by serve and
// simulate, read by simulate (replay), calibrate and check. First line: StepLogHeader.
// Values; thread-compatible.
//
// Order within a step: `inputs` were applied in list order, then schedule() made the plan, the
// backend ran, then complete() finished `finished`. With asynchronous scheduling the next step is
// planned meanwhile, so complete() stands among the inputs: of the first step that was planned
// after it. One that came while no other plan was in flight followed a schedule() in vain.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "records/server_description.h"

namespace touchstone::records {

inline constexpr int kStepLogVersion = 1;

struct StepLogHeader {
  std::string engine;  ///< "touchstone 0.1.0"
  std::string clock;   ///< "monotonic" or "virtual"
  /// The scheduler's configuration by the names of its fields, which are keys of the line itself.
  Settings config;
};

struct StepEntry {
  uint64_t id = 0;
  int64_t computed = 0;   ///< tokens computed before the step
  int64_t scheduled = 0;  ///< tokens computed in it
  bool samples = false;   ///< yields a token
  int64_t cached = 0;     ///< prefix-cache hit when admitted in this step
  /// prefill: scheduled tokens that include prompt tokens; decode otherwise.
  bool prefill = false;
};

struct StepFinish {
  uint64_t id = 0;
  std::string reason;  ///< "stop", "length", "abort", "error"
};
/// One input event of the scheduler, in the order it was applied.
struct StepInput {
  enum class Kind { kArrive, kAbort, kComplete, kResetPrefixCache };
  Kind kind = Kind::kArrive;
  uint64_t id = 0;      ///< the request; of kComplete the step; of a reset 1 when it preempted
  int64_t time_ns = 0;  ///< when the engine thread applied it
};

/// "arrive", "abort", "complete".
const char* to_string(StepInput::Kind kind);

struct StepRecord {
  int64_t step = 0;
  int64_t planned_ns = 0;  ///< monotonic; schedule() was called, the inputs were applied
  /// The backend turned to it: planned_ns, or the end of the step before when that is later.
  int64_t start_ns = 0;
  int64_t duration_ns = 0;  ///< from there to the end of complete()
  std::vector<StepInput> inputs;
  std::vector<StepEntry> requests;
  std::vector<uint64_t> preempted;
  std::vector<StepFinish> finished;
  /// After schedule(), as the gauges of /metrics would show them during the step.
  int64_t running = 0;
  int64_t waiting = 0;
  int64_t free_blocks = 0;
  int64_t cached_blocks = 0;
};

struct StepLog {
  StepLogHeader header;
  std::vector<StepRecord> steps;
};

std::string to_json_line(const StepLogHeader& header);
std::string to_json_line(const StepRecord& record);
/// ERRORS: kInvalidArgument `file:line: field: got, expected`; a truncated last line is one too.
Result<StepLog> read_step_log(const std::string& path);

}  // namespace touchstone::records
