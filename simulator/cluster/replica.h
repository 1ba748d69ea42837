// One server in virtual time: the engine's scheduler, a step-time model, and the bookkeeping that
// the engine thread does. Thread-compatible; allocates per request, not per step.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "records/step_log.h"
#include "reference_engine/lifecycle/request_lives.h"
#include "reference_engine/scheduler/scheduler.h"
#include "simulator/request.h"
#include "simulator/steptime/model.h"

namespace touchstone::simulator {

/// A step as it is known at its end. Everything borrowed is valid during the call only.
struct StepView {
  int32_t replica = 0;
  const scheduler::StepPlan& plan;
  scheduler::State state;  ///< after schedule()
  int64_t planned_ns = 0;
  int64_t start_ns = 0;
  int64_t duration_ns = 0;
  bool extrapolated = false;  ///< outside of what the step-time model was made for
  std::span<const records::StepInput> inputs;
  std::span<const scheduler::FinishedRequest> finished;
};

/// Sees what happens in all replicas, in order. Thread-compatible.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_step(const StepView& step) = 0;
  /// When it is over, whatever its outcome.
  virtual void on_request(int32_t replica, const records::RequestRecord& request) = 0;
  /// What the engine counts, with each step, and once more when those who hung up leave nothing to
  /// do. Only when wanted.
  virtual void on_stats(int32_t replica, const records::StepStats& stats) {
    (void)replica, (void)stats;
  }
  virtual bool wants_stats() const { return false; }
  /// True: RequestRecord::block_hashes are filled.
  virtual bool wants_hashes() const { return false; }
};

/// What a replica is. Models have no state, so replicas may share one.
struct ReplicaOptions {
  scheduler::Config config;
  const StepTimeModel& model;  ///< outlives the simulation
};

class Replica final {
 public:
  /// `seed`: of the simulation; each replica has a stream of its own for its step times' noise.
  /// REQUIRES: scheduler::validate(options.config). `observer` outlives the replica.
  Replica(int32_t index, const ReplicaOptions& options, uint64_t seed, Observer& observer);

  /// Inputs wait until the next step boundary, as they do for the engine's thread.
  void arrive(SimulatedRequest&& request);
  void abort(scheduler::RequestId id);

  /// Applies the waiting inputs and starts a step. Result: how long it takes, INT64_MAX when that
  /// is more than the model can say; nullopt when there is nothing to do.
  /// REQUIRES: no step is running.
  std::optional<int64_t> start_step(int64_t now_ns);
  /// REQUIRES: now_ns is the start plus what start_step() gave.
  void end_step(int64_t now_ns);

  bool stepping() const { return stepping_; }
  /// Whether a step could be started.
  bool has_work() const { return scheduler_.has_requests() || !inputs_.empty(); }
  const scheduler::Scheduler& scheduler() const { return scheduler_; }
  const scheduler::State& state() const { return state_; }  ///< as of the latest step's start
  /// The requests that ended since the last call, in order. Valid until start_step() or end_step().
  std::span<const scheduler::RequestId> take_ended();

 private:
  struct Input {
    records::StepInput::Kind kind;
    scheduler::RequestId id;
    SimulatedRequest arriving;  // with kArrive only
  };

  void apply_inputs(int64_t now_ns);
  void admit(SimulatedRequest&& arriving, int64_t now_ns);
  void hang_up(scheduler::RequestId id, int64_t now_ns);
  void tell_stats();
  void finish(scheduler::RequestId id, records::Outcome outcome, int64_t now_ns,
              std::span<const scheduler::BlockHash> hashes);

  const int32_t index_;
  scheduler::Scheduler scheduler_;
  const StepTimeModel& model_;
  const Validity validity_;
  RandomStream noise_;
  Observer& observer_;
  const bool wants_stats_;
  lifecycle::RequestLives lives_;
  std::vector<Input> inputs_;

  bool stepping_ = false;
  bool extrapolated_ = false;
  const scheduler::StepPlan* plan_ = nullptr;
  scheduler::State state_;
  int64_t start_ns_ = 0;
  std::vector<scheduler::SampledToken> sampled_;
  std::vector<records::StepInput> applied_;
  std::vector<scheduler::RequestId> ended_;  // since take_ended()
  std::vector<scheduler::RequestId> taken_;
};

}  // namespace touchstone::simulator
