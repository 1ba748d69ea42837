// vLLM V1's scheduler: continuous batching with one token budget for decode and chunked prefill,
// preemption by recompute, hash-chained prefix cache. Shared by engine and simulator.
// Source: vLLM 0.32 v1/core/sched/scheduler.py, v1/core/{kv_cache_manager,block_pool}.py.
// Pure: no clock, thread, file, log or randomness; equal calls give equal plans. One thread.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "reference_engine/scheduler/config.h"
#include "reference_engine/scheduler/external_kv.h"
#include "reference_engine/scheduler/types.h"

namespace touchstone::scheduler {

class Scheduler final {
 public:
  /// `external`: null, or outlives the scheduler. REQUIRES: validate(config).
  explicit Scheduler(const Config& config, ExternalKv* external = nullptr);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// Puts a request at the end of the waiting queue (or its place by priority).
  /// ERRORS: kInvalidArgument `request N: field: got, expected` for one that could never run or
  /// whose id is not new; nothing has changed then.
  Status add(NewRequest request);

  /// A request that was added with ready = false may be admitted; false when unknown (gone).
  bool ready(RequestId id);

  /// Removes a request in any state; false when unknown (finished). Its blocks are free at once;
  /// with async_scheduling those that a plan in flight uses come free when that plan is complete.
  /// Without: between schedule() and complete() call it only after the plan was executed, since
  /// others may share the blocks that the aborted request's part of the plan fills.
  bool abort(RequestId id);

  /// Forgets every prefix that could be hit. False, with the cache as it was, while requests hold
  /// blocks; with kPreempt those that run are preempted first. REQUIRES for that: no plan is in
  /// flight. Source: vLLM 0.32 v1/core/sched/scheduler.py reset_prefix_cache.
  enum class Running { kKeep, kPreempt };
  bool reset_prefix_cache(Running running);

  /// Plans the next step. An empty `scheduled` means nothing can run now; no complete() follows it.
  /// Each other plan is in flight until its complete(), which must come before the next schedule();
  /// with async_scheduling one more plan may be made meanwhile, to be executed after the first.
  /// The reference is valid until the plan's complete(), block tables until the next call.
  const StepPlan& schedule();

  /// Applies what the oldest plan in flight yielded: one SampledToken for each scheduled request
  /// with samples_token, in plan order. Those of requests that are over meanwhile may be left out
  /// (with async_scheduling) or must be (without). Returns the requests that finished, in plan
  /// order. The span is valid until the next call.
  std::span<const FinishedRequest> complete(std::span<const SampledToken> sampled);

  bool has_requests() const;
  int plans_in_flight() const;  ///< 0 to 2
  State state() const;
  const Counters& counters() const;
  const Config& config() const;

  /// Hashes of the full blocks of a request's tokens as far as known (with a HashSource: as far as
  /// needed), for the record of one that will be aborted; valid until the next call.
  /// REQUIRES: the id is known.
  std::span<const BlockHash> block_hashes(RequestId id) const;
  /// Tokens of prompt and output so far. REQUIRES: the id is known.
  int32_t num_tokens(RequestId id) const;
  /// Ids in queue order and in running order, for tests and logs.
  std::vector<RequestId> waiting_ids() const;
  std::vector<RequestId> running_ids() const;

  /// Aborts the program if an invariant (INV-1 … of docs/invariants.md) does not hold; O(blocks).
  void check_invariants() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace touchstone::scheduler
