// The scheduler's state and the parts of its step; scheduler.h has the contract. Only the .cc files
// of this folder include it: plan.cc (schedule), complete.cc (what a plan yielded), scheduler.cc
// (arrivals, aborts, state).
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "reference_engine/scheduler/block_hash.h"
#include "reference_engine/scheduler/kv_manager.h"
#include "reference_engine/scheduler/policies.h"
#include "reference_engine/scheduler/request.h"
#include "reference_engine/scheduler/scheduler.h"

namespace touchstone::scheduler {

class Scheduler::Impl {
 public:
  Impl(const Config& config, ExternalKv* external);

  Status add(NewRequest&& request);
  bool ready(RequestId id);
  bool abort(RequestId id);
  bool reset_prefix_cache(Running running);
  const StepPlan& schedule();
  std::span<const FinishedRequest> complete(std::span<const SampledToken> sampled);
  State state() const;
  const Request& known(RequestId id) const;
  std::span<const BlockHash> block_hashes(RequestId id) const;
  std::vector<RequestId> running_ids() const;
  void check_invariants() const;

  const Config config_;
  ExternalKv* const external_;  // may be null
  Counters counters_;
  KvManager kv_;
  std::unique_ptr<SchedulingPolicy> policy_;
  std::vector<Request*> running_;
  size_t num_in_flight_ = 0;  ///< plans, the oldest at oldest_

 private:
  struct Plan {
    StepPlan step;
    std::vector<Request*> planned;  // of step.scheduled, same order; null once aborted and gone
  };
  struct RunningAdapter {
    int32_t adapter = 0;
    int32_t requests = 0;
  };

  // plan.cc
  void schedule_running(int32_t& budget);
  void admit_waiting(int32_t& budget);
  bool admit_head(Request& request, int32_t& budget);
  bool make_room(size_t& index, int32_t num_tokens, int32_t& budget);
  void preempt(size_t victim_index, size_t& index, int32_t& budget);
  void wait_again(Request& victim);
  ScheduledRequest& plan_request(Request& request, int32_t num_tokens, int32_t& budget);
  bool may_be_admitted(const Request& request) const;
  void commit(Plan& plan, int32_t total_tokens);

  // complete.cc
  void take_token(Request& request, const SampledToken& token);
  void append_token(Request& request, TokenId token);
  std::optional<FinishedRequest> finish_of(const Request& request,
                                           const SampledToken& sampled) const;

  // scheduler.cc
  Status check(const NewRequest& request) const;
  void set_deferred(Request& request, bool deferred);
  void start_running(Request& request);
  void stop_running(Request& request);
  void give_blocks_back(Request& request);
  void settle(Request& request);

  RequestTable requests_;
  ChainHasher hasher_;
  std::array<Plan, 2> plans_;
  size_t oldest_ = 0;
  Plan* open_ = nullptr;  // the one that schedule() is making
  int64_t steps_ = 0;
  std::vector<RequestId> preempted_;   // since the last plan with work
  std::vector<Request*> passed_over_;  // in this schedule(), in queue order
  std::vector<RunningAdapter> running_adapters_;
  int64_t num_deferred_ = 0;
  // Their blocks are used by plans in flight and come free with those.
  std::vector<Request*> releases_due_;
  bool waits_for_blocks_ = false;  // a running request waits for releases_due_
  std::vector<FinishedRequest> finished_;
  std::vector<std::vector<BlockHash>> finished_hashes_;  // what finished_ points to
};

}  // namespace touchstone::scheduler
