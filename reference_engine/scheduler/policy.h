// What a scheduling policy decides: who of the waiting is next, and who gives way.
// Source: vLLM 0.32 v1/core/sched/request_queue.py. Thread-compatible; borrows the requests.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "reference_engine/scheduler/request.h"

namespace touchstone::scheduler {

class SchedulingPolicy {
 public:
  virtual ~SchedulingPolicy() = default;
  /// A request that arrives.
  virtual void push(Request& request) = 0;
  /// A request that goes before those that have not had their turn: it was preempted, or was passed
  /// over in this step and takes its place again.
  virtual void push_ahead(Request& request) = 0;
  /// Next to be admitted; null when nobody waits.
  virtual Request* head() const = 0;
  /// REQUIRES: `request` is queued.
  virtual void remove(Request& request) = 0;
  virtual size_t size() const = 0;
  /// In the order in which they would be admitted.
  virtual std::vector<RequestId> ids() const = 0;
  /// Index in `running` of the one to preempt. REQUIRES: running is not empty.
  virtual size_t choose_victim(std::span<Request* const> running) const = 0;
};

std::unique_ptr<SchedulingPolicy> make_fcfs_policy();
std::unique_ptr<SchedulingPolicy> make_priority_policy();

}  // namespace touchstone::scheduler
