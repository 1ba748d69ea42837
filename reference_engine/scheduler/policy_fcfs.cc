// First come, first served: arrivals at the back, preempted ones at the front, the last admitted
// gives way. An intrusive list, so that an abort in the middle costs nothing and nothing allocates.
#include "base/check.h"
#include "reference_engine/scheduler/policy.h"

namespace touchstone::scheduler {
namespace {

class FcfsPolicy final : public SchedulingPolicy {
 public:
  void push(Request& request) override {
    request.previous = last_;
    request.next = nullptr;
    (last_ == nullptr ? first_ : last_->next) = &request;
    last_ = &request;
    ++size_;
  }

  void push_ahead(Request& request) override {
    request.previous = nullptr;
    request.next = first_;
    (first_ == nullptr ? last_ : first_->previous) = &request;
    first_ = &request;
    ++size_;
  }

  Request* head() const override { return first_; }

  void remove(Request& request) override {
    BASE_CHECK(size_ > 0);
    (request.previous == nullptr ? first_ : request.previous->next) = request.next;
    (request.next == nullptr ? last_ : request.next->previous) = request.previous;
    request.previous = request.next = nullptr;
    --size_;
  }

  size_t size() const override { return size_; }

  std::vector<RequestId> ids() const override {
    std::vector<RequestId> result;
    for (const Request* r = first_; r != nullptr; r = r->next) result.push_back(r->id);
    return result;
  }

  size_t choose_victim(std::span<Request* const> running) const override {
    return running.size() - 1;
  }

 private:
  Request* first_ = nullptr;
  Request* last_ = nullptr;
  size_t size_ = 0;
};

}  // namespace

std::unique_ptr<SchedulingPolicy> make_fcfs_policy() { return std::make_unique<FcfsPolicy>(); }

}  // namespace touchstone::scheduler
