// Tells somebody how many requests are over, now and then. Passes everything on. Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "simulator/cluster/replica.h"

namespace touchstone::simulator {

class ProgressObserver final : public Observer {
 public:
  /// `next` outlives it; `tell` may be null.
  ProgressObserver(Observer& next, std::function<void(int64_t done)> tell)
      : next_(next), tell_(std::move(tell)) {}
  void on_step(const StepView& step) override { next_.on_step(step); }
  void on_request(int32_t replica, const records::RequestRecord& request) override {
    next_.on_request(replica, request);
    if (tell_ && ++done_ % kEvery == 0) tell_(done_);
  }
  void on_prefilled(int32_t replica, const records::RequestRecord& request) override {
    next_.on_prefilled(replica, request);
  }
  void on_stats(int32_t replica, const records::StepStats& stats) override {
    next_.on_stats(replica, stats);
  }
  void on_lost(const SimulatedRequest& request, Loss loss, int64_t time_ns) override {
    next_.on_lost(request, loss, time_ns);
  }
  bool wants_stats() const override { return next_.wants_stats(); }
  bool wants_hashes() const override { return next_.wants_hashes(); }

 private:
  static constexpr int64_t kEvery = 1024;
  Observer& next_;
  const std::function<void(int64_t)> tell_;
  int64_t done_ = 0;
};

}  // namespace touchstone::simulator
