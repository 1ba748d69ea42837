#include "simulator/closed_loop.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace touchstone::simulator {
namespace {

class ClosedLoopSource final : public RequestSource {
 public:
  ClosedLoopSource(const ClosedLoopOptions& options, std::unique_ptr<RequestSource> requests)
      : options_(options), requests_(std::move(requests)) {
    BASE_CHECK(options.concurrency >= 1 && options.think_time_ns >= 0);
  }

  Result<bool> next(SimulatedRequest& request) override {
    if (started_ == options_.concurrency) return false;
    ++started_;
    return take(request, 0);
  }

  Status on_end(scheduler::RequestId, int64_t time_ns,
                std::vector<SimulatedRequest>& follow_ups) override {
    SimulatedRequest request;
    const int64_t think_ns = std::min(options_.think_time_ns, INT64_MAX - time_ns);
    const Result<bool> there = take(request, time_ns + think_ns);
    if (!there) return there.error();
    if (*there) follow_ups.push_back(std::move(request));
    return {};
  }

 private:
  Result<bool> take(SimulatedRequest& request, int64_t arrival_ns) {
    auto there = requests_->next(request);
    if (!there || !*there) return there;
    const int64_t later_ns = arrival_ns - request.request.arrival_ns;
    request.request.arrival_ns = arrival_ns;
    if (request.abort_ns) *request.abort_ns += later_ns;
    return true;
  }

  const ClosedLoopOptions options_;
  const std::unique_ptr<RequestSource> requests_;
  int64_t started_ = 0;
};

}  // namespace

std::unique_ptr<RequestSource> make_closed_loop_source(const ClosedLoopOptions& options,
                                                       std::unique_ptr<RequestSource> requests) {
  return std::make_unique<ClosedLoopSource>(options, std::move(requests));
}

}  // namespace touchstone::simulator
