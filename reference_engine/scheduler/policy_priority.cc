// By (priority, arrival, id), lower first; the running request with the highest (priority, arrival)
// gives way. A heap whose requests know their place, so that an abort takes O(log n).
#include <algorithm>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "reference_engine/scheduler/policy.h"

namespace touchstone::scheduler {
namespace {

bool sooner(const Request* a, const Request* b) {
  return std::tie(a->priority, a->arrival_ns, a->id) < std::tie(b->priority, b->arrival_ns, b->id);
}

class PriorityPolicy final : public SchedulingPolicy {
 public:
  void push(Request& request) override {
    heap_.push_back(&request);
    request.heap_position = heap_.size() - 1;
    sift_up(request.heap_position);
  }

  /// Its arrival puts it before those that came later, as vLLM's heap does.
  void push_ahead(Request& request) override { push(request); }

  Request* head() const override { return heap_.empty() ? nullptr : heap_.front(); }

  void remove(Request& request) override {
    const size_t position = request.heap_position;
    BASE_CHECK(position < heap_.size() && heap_[position] == &request);
    place(heap_.back(), position);
    heap_.pop_back();
    if (position < heap_.size()) {
      sift_up(position);
      sift_down(position);
    }
  }

  size_t size() const override { return heap_.size(); }

  std::vector<RequestId> ids() const override {
    std::vector<Request*> sorted = heap_;
    std::sort(sorted.begin(), sorted.end(), sooner);
    std::vector<RequestId> result;
    for (const Request* request : sorted) result.push_back(request->id);
    return result;
  }

  /// The first of equals, as Python's max() has it.
  size_t choose_victim(std::span<Request* const> running) const override {
    size_t victim = 0;
    for (size_t i = 1; i < running.size(); ++i) {
      if (std::tie(running[victim]->priority, running[victim]->arrival_ns) <
          std::tie(running[i]->priority, running[i]->arrival_ns)) {
        victim = i;
      }
    }
    return victim;
  }

 private:
  void place(Request* request, size_t position) {
    heap_[position] = request;
    request->heap_position = position;
  }

  void sift_up(size_t position) {
    Request* const request = heap_[position];
    while (position > 0 && sooner(request, heap_[(position - 1) / 2])) {
      place(heap_[(position - 1) / 2], position);
      position = (position - 1) / 2;
    }
    place(request, position);
  }

  void sift_down(size_t position) {
    Request* const request = heap_[position];
    for (;;) {
      size_t child = 2 * position + 1;
      if (child >= heap_.size()) break;
      if (child + 1 < heap_.size() && sooner(heap_[child + 1], heap_[child])) ++child;
      if (!sooner(heap_[child], request)) break;
      place(heap_[child], position);
      position = child;
    }
    place(request, position);
  }

  std::vector<Request*> heap_;
};

}  // namespace

std::unique_ptr<SchedulingPolicy> make_priority_policy() {
  return std::make_unique<PriorityPolicy>();
}

}  // namespace touchstone::scheduler
