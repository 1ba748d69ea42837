// vLLM V1's scheduler: continuous batching with one token budget for decode and chunked prefill,
// preemption by recompute, hash-chained prefix cache. Shared by engine and simulator.
// Source: vLLM 0.32 v1/core/sched/scheduler.py, v1/core/{kv_cache_manager,block_pool}.py.
// Pure: no clock, thread, file, log or randomness; equal calls give equal plans. One thread.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "reference_engine/scheduler/types.h"

namespace touchstone::scheduler {

/// ERRORS: kInvalidArgument naming the field (zero blocks, budget below max_num_seqs, a pool that
/// cannot hold one request of max_model_len, chunked prefill off with budget < max_model_len, …).
Status validate(const Config& config);

class Scheduler final {
 public:
  /// REQUIRES: validate(config).
  explicit Scheduler(const Config& config);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// Puts a request at the end of the waiting queue (or its place by priority).
  /// REQUIRES: the fields' own requirements; the id is new.
  void add(NewRequest request);

  /// Removes a request in any state and frees its blocks at once; false when unknown (finished).
  /// Between schedule() and complete() call it only after the plan was executed: others may share
  /// the blocks that the aborted request's part of the plan fills.
  bool abort(RequestId id);

  /// Plans the next step. An empty `scheduled` means nothing can run now. The reference is valid
  /// until the next call. After each non-empty plan complete() must follow before schedule().
  const StepPlan& schedule();

  /// Applies what the step yielded: one SampledToken for each scheduled request with
  /// samples_token that was not aborted meanwhile, in plan order. Returns those that finished, in
  /// plan order; their blocks are free. The span is valid until the next call.
  std::span<const FinishedRequest> complete(std::span<const SampledToken> sampled);

  bool has_requests() const;
  State state() const;
  const Counters& counters() const;
  const Config& config() const;

  /// Hashes of the full blocks of a request's tokens as far as known, for the record of one that
  /// will be aborted; valid until the next call. REQUIRES: the id is known.
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
