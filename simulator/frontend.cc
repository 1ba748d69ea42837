#include "simulator/frontend.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace touchstone::simulator {
namespace {

class FrontendSource final : public RequestSource {
 public:
  FrontendSource(const FrontendLatency& latency, std::unique_ptr<RequestSource> source)
      : latency_(latency), source_(std::move(source)) {}

  Result<bool> next(SimulatedRequest& request) override {
    // Whatever arrives later than this cannot be at the engine sooner than the first of the heap.
    while (!drained_ &&
           (waiting_.empty() || latest_ns_ + frontend_in_ns(latency_, 0) <= first().arrival_ns)) {
      SimulatedRequest arrived;
      const Result<bool> there = source_->next(arrived);
      if (!there) return there;
      drained_ = !*there;
      if (drained_) break;
      latest_ns_ = arrived.request.arrival_ns;
      arrived.request.arrival_ns += frontend_in_ns(latency_, arrived.request.num_prompt_tokens);
      waiting_.push_back(std::move(arrived));
      std::push_heap(waiting_.begin(), waiting_.end(), later);
    }
    if (waiting_.empty()) return false;
    std::pop_heap(waiting_.begin(), waiting_.end(), later);
    request = std::move(waiting_.back());
    waiting_.pop_back();
    return true;
  }

  Status on_end(scheduler::RequestId id, int64_t time_ns,
                std::vector<SimulatedRequest>& follow_ups) override {
    const size_t before = follow_ups.size();
    RETURN_IF_ERROR(source_->on_end(id, time_ns + frontend_out_ns(latency_, 1), follow_ups));
    for (size_t i = before; i < follow_ups.size(); ++i) {
      scheduler::NewRequest& request = follow_ups[i].request;
      request.arrival_ns += frontend_in_ns(latency_, request.num_prompt_tokens);
    }
    return {};
  }

 private:
  const scheduler::NewRequest& first() const { return waiting_.front().request; }
  static bool later(const SimulatedRequest& a, const SimulatedRequest& b) {
    return std::pair(a.request.arrival_ns, a.request.id) >
           std::pair(b.request.arrival_ns, b.request.id);
  }

  const FrontendLatency latency_;
  const std::unique_ptr<RequestSource> source_;
  std::vector<SimulatedRequest> waiting_;  // a heap by arrival at the engine
  int64_t latest_ns_ = 0;                  // arrival of what the source gave last
  bool drained_ = false;
};

}  // namespace

int64_t frontend_in_ns(const FrontendLatency& latency, int64_t prompt_tokens) {
  return std::llround(latency.in_ns +
                      latency.in_ns_per_prompt_token * static_cast<double>(prompt_tokens));
}

int64_t frontend_out_ns(const FrontendLatency& latency, int64_t streams) {
  return std::llround(latency.out_ns + latency.out_ns_per_stream * static_cast<double>(streams));
}

std::unique_ptr<RequestSource> make_frontend_source(const FrontendLatency& latency,
                                                    std::unique_ptr<RequestSource> source) {
  return std::make_unique<FrontendSource>(latency, std::move(source));
}

void FrontendObserver::on_step(const StepView& step) {
  const auto streams = std::count_if(step.plan.scheduled.begin(), step.plan.scheduled.end(),
                                     [](const auto& r) { return r.samples_token; });
  step_out_ns_ = frontend_out_ns(latency_, streams);
  if (latency_.out_ns_per_stream > 0) {
    for (const scheduler::ScheduledRequest& r : step.plan.scheduled) {
      // Its first token: the step computes the end of its prompt.
      if (r.samples_token && r.num_computed_tokens < r.num_prompt_tokens) {
        first_out_ns_.try_emplace(r.id, step_out_ns_);
      }
    }
  }
  next_.on_step(step);
}

void FrontendObserver::on_request(int32_t replica, const records::RequestRecord& request) {
  records::RequestRecord seen = request;
  seen.arrival_ns -= frontend_in_ns(latency_, seen.prompt_tokens);
  seen.arrival_unix_ns -= frontend_in_ns(latency_, seen.prompt_tokens);
  const auto first = first_out_ns_.find(request.id);
  if (seen.first_token_ns) {
    *seen.first_token_ns += first == first_out_ns_.end() ? step_out_ns_ : first->second;
  }
  if (first != first_out_ns_.end()) first_out_ns_.erase(first);
  if (seen.last_token_ns) {
    *seen.last_token_ns = std::max(*seen.first_token_ns, *seen.last_token_ns + step_out_ns_);
  }
  seen.finished_ns += step_out_ns_;
  next_.on_request(replica, seen);
}

}  // namespace touchstone::simulator
