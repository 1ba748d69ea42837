// An observer between the simulation and another: what it has nothing to say to is passed on as it
// is. Thread-compatible.
#pragma once

#include "simulator/cluster/replica.h"

namespace touchstone::simulator {

class ForwardingObserver : public Observer {
 public:
  void on_step(const StepView& step) override { next_.on_step(step); }
  void on_request(int32_t replica, const records::RequestRecord& request) override {
    next_.on_request(replica, request);
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

 protected:
  /// `next` outlives it.
  explicit ForwardingObserver(Observer& next) : next_(next) {}

 private:
  Observer& next_;
};

}  // namespace touchstone::simulator
