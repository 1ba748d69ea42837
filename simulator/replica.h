// One server in virtual time: the engine's scheduler, a step-time model, and the bookkeeping that
// the engine thread does. Thread-compatible; allocates per request, not per step.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "records/step_log.h"
#include "reference_engine/scheduler/flat_index.h"
#include "reference_engine/scheduler/scheduler.h"
#include "simulator/request.h"
#include "simulator/steptime/model.h"

namespace touchstone::simulator {

/// A step as it is known at its end. Everything borrowed is valid during the call only.
struct StepView {
  const scheduler::StepPlan& plan;
  scheduler::State state;  ///< after schedule()
  int64_t start_ns = 0;
  int64_t duration_ns = 0;
  std::span<const records::StepInput> inputs;
  std::span<const scheduler::FinishedRequest> finished;
};

/// Sees what happens, in order. Thread-compatible.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_step(const StepView& step) = 0;
  /// When it is over, whatever its outcome.
  virtual void on_request(const RequestTimes& request) = 0;
  /// True: RequestTimes::block_hashes are filled.
  virtual bool wants_hashes() const { return false; }
};

class Replica final {
 public:
  /// REQUIRES: scheduler::validate(config). `model` and `observer` outlive the replica.
  Replica(const scheduler::Config& config, StepTimeModel& model, Observer& observer);

  /// Inputs wait until the next step boundary, as they do for the engine's thread.
  void arrive(SimulatedRequest&& request);
  void abort(scheduler::RequestId id);

  /// Applies the waiting inputs and starts a step. Result: when it ends; nullopt when there is
  /// nothing to do. REQUIRES: no step is running.
  std::optional<int64_t> start_step(int64_t now_ns);
  /// REQUIRES: now_ns is what start_step() gave.
  void end_step(int64_t now_ns);

  bool stepping() const { return stepping_; }
  /// Whether a step could be started.
  bool has_work() const { return scheduler_.has_requests() || !inputs_.empty(); }
  const scheduler::Scheduler& scheduler() const { return scheduler_; }

 private:
  struct Life {
    RequestTimes times;
    records::Outcome outcome = records::Outcome::kLength;  // at max_tokens
    // When it was last preempted: how many tokens it had, and when it got the last of them.
    int32_t preempted_tokens = 0;
    int64_t preempted_last_token_ns = 0;
  };
  struct Input {
    records::StepInput::Kind kind;
    scheduler::RequestId id;
    SimulatedRequest arriving;  // with kArrive only
  };

  void apply_inputs(int64_t now_ns);
  void admit(SimulatedRequest&& arriving, int64_t now_ns);
  void hang_up(scheduler::RequestId id, int64_t now_ns);
  void note_plan(const scheduler::StepPlan& plan, int64_t now_ns);
  void finish(int32_t slot, records::Outcome outcome, int64_t now_ns);
  int32_t slot_of(scheduler::RequestId id) const;

  scheduler::Scheduler scheduler_;
  StepTimeModel& model_;
  Observer& observer_;
  const int32_t max_model_len_;
  const bool wants_hashes_;

  std::vector<Life> lives_;  // slots are used again
  std::vector<int32_t> free_slots_;
  scheduler::FlatIndex by_id_;
  std::vector<Input> inputs_;

  bool stepping_ = false;
  const scheduler::StepPlan* plan_ = nullptr;
  scheduler::State state_;
  int64_t start_ns_ = 0;
  int64_t last_end_ns_ = 0;
  std::vector<scheduler::SampledToken> sampled_;
  std::vector<int32_t> first_tokens_;  // slots that get their first token in this step
  std::vector<records::StepInput> applied_;
};

}  // namespace touchstone::simulator
