// One server in virtual time: the engine's scheduler, a step-time model, and the bookkeeping that
// the engine thread does. Thread-compatible; allocates per request, not per step.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "records/step_log.h"
#include "reference_engine/lifecycle/request_lives.h"
#include "reference_engine/scheduler/scheduler.h"
#include "simulator/cluster/host_kv.h"
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

/// Why a request was not served. Only kCrashed may be followed by another attempt.
enum class Loss { kRefused, kGaveUp, kCrashed };

/// What a replica does in a fleet that prefills and decodes apart; else both.
enum class Role { kBoth, kPrefill, kDecode };

/// Sees what happens in all replicas, in order. Thread-compatible.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_step(const StepView& step) = 0;
  /// When it is over, whatever its outcome.
  virtual void on_request(int32_t replica, const records::RequestRecord& request) = 0;
  /// A prompt was computed for another replica to go on from: no client sees this record.
  virtual void on_prefilled(int32_t replica, const records::RequestRecord& request) {
    (void)replica, (void)request;
  }
  /// What the engine counts, with each step, and once more when those who hung up leave nothing to
  /// do. Only when wanted.
  virtual void on_stats(int32_t replica, const records::StepStats& stats) {
    (void)replica, (void)stats;
  }
  /// A request that no replica served to its end: refused, or in one that crashed.
  virtual void on_lost(const SimulatedRequest& request, Loss loss, int64_t time_ns) {
    (void)request, (void)loss, (void)time_ns;
  }
  virtual bool wants_stats() const { return false; }
  /// True: RequestRecord::block_hashes are filled.
  virtual bool wants_hashes() const { return false; }
};

/// What a replica is. Models have no state, so replicas may share one.
struct ReplicaOptions {
  scheduler::Config config;
  const StepTimeModel& model;  ///< outlives the simulation
  int64_t start_up_ns = 0;     ///< from being started, or the end of an outage, to serving
  Role role = Role::kBoth;
  std::optional<OffloadOptions> offload = {};
  std::vector<std::string> adapters = {};  ///< those that it has; empty: every one
  /// What a step waits for each adapter that it needs and that is not among the max_loras used
  /// last.
  int64_t adapter_load_ns = 0;
};

class Replica final {
 public:
  /// `seed`: of the simulation; each replica has a stream of its own for its step times' noise.
  /// REQUIRES: scheduler::validate(options.config). `observer` outlives the replica.
  Replica(int32_t index, const ReplicaOptions& options, uint64_t seed, Observer& observer);

  /// Inputs wait until the next step boundary, as they do for the engine's thread.
  void arrive(SimulatedRequest&& request);
  void abort(scheduler::RequestId id);

  /// Whether a step could be planned now: with none in flight at any time; with asynchronous
  /// scheduling also while one runs, but only at the instant when the engine's thread looks, which
  /// is when that one has just been planned or the one before it has ended.
  bool may_plan(int64_t now_ns) const;
  /// Applies the waiting inputs and plans a step. False when there is nothing that can run.
  /// REQUIRES: may_plan(now_ns).
  bool plan_step(int64_t now_ns);
  /// Starts the step that is next, when none runs. Result: how long it takes, INT64_MAX when that
  /// is more than the model can say; nullopt when none is planned or one runs already.
  std::optional<int64_t> start_step(int64_t now_ns);
  /// REQUIRES: now_ns is the start plus what start_step() gave.
  void end_step(int64_t now_ns);

  const scheduler::Scheduler& scheduler() const { return scheduler_; }
  const scheduler::State& state() const { return state_; }  ///< as of the latest plan
  struct Ended {
    scheduler::RequestId id = 0;
    bool aborted = false;
  };
  /// The requests that ended since the last call, in order. Valid until plan_step() or end_step().
  std::span<const Ended> take_ended();

 private:
  struct Input {
    records::StepInput::Kind kind;
    scheduler::RequestId id;
    SimulatedRequest arriving;  // with kArrive only
  };

  /// A step from its planning to its end.
  struct Flight {
    const scheduler::StepPlan* plan = nullptr;
    scheduler::State state;
    int64_t planned_ns = 0;
    int64_t start_ns = 0;
    int64_t duration_ns = 0;
    bool extrapolated = false;
    std::vector<records::StepInput> inputs;
  };

  Flight& flight(int age) { return flights_[(oldest_ + static_cast<size_t>(age)) % 2]; }
  int64_t fetch_ns(const scheduler::StepPlan& plan);
  int64_t load_adapter_ns(int32_t adapter);
  void store_filled_blocks(const scheduler::StepPlan& plan);
  void apply_inputs(int64_t now_ns);
  void admit(SimulatedRequest&& arriving, int64_t now_ns);
  void hang_up(scheduler::RequestId id, int64_t now_ns);
  void tell_stats();
  void finish(scheduler::RequestId id, records::Outcome outcome, int64_t now_ns,
              std::span<const scheduler::BlockHash> hashes);

  const int32_t index_;
  const int64_t adapter_load_ns_;
  HostKv host_;  // the scheduler's
  scheduler::Scheduler scheduler_;
  const StepTimeModel& model_;
  const Validity validity_;
  StepNoise noise_;
  Observer& observer_;
  const bool wants_stats_;
  lifecycle::RequestLives lives_;
  std::vector<Input> inputs_;

  std::array<Flight, 2> flights_;  // as many as the scheduler has plans in flight
  size_t oldest_ = 0;
  bool stepping_ = false;        // the oldest one runs
  int64_t may_look_at_ns_ = -1;  // with a step in flight
  scheduler::State state_;
  std::vector<scheduler::SampledToken> sampled_;
  std::vector<records::StepInput> applied_;                // since the last plan
  std::unordered_set<scheduler::RequestId> prefill_only_;  // looked up only
  std::vector<int32_t> loaded_adapters_;                   // the one used last at the end
  std::vector<Ended> ended_;                               // since take_ended()
  std::vector<Ended> taken_;
};

}  // namespace touchstone::simulator
