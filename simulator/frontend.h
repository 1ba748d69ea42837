// What lies between clients and engine, around a simulation of the engine: requests reach it later
// than they arrived, tokens reach their clients later than the step ended. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "simulator/cluster/replica.h"
#include "simulator/request.h"
#include "simulator/steptime/model.h"

namespace touchstone::simulator {

/// How long a request with this prompt takes to the engine.
int64_t frontend_in_ns(const FrontendLatency& latency, int64_t prompt_tokens);
/// How long the tokens of a step take to their clients.
int64_t frontend_out_ns(const FrontendLatency& latency, int64_t streams);

/// The requests of `source` when the engine gets them, in that order. on_end() of the source gets
/// the times at which clients see the end.
std::unique_ptr<RequestSource> make_frontend_source(const FrontendLatency& latency,
                                                    std::unique_ptr<RequestSource> source);

/// Passes on records as clients see them: from their own arrival, to the tokens that reached them.
/// Steps are passed on as they are.
class FrontendObserver final : public Observer {
 public:
  /// `next` outlives it.
  FrontendObserver(const FrontendLatency& latency, Observer& next)
      : latency_(latency), next_(next) {}
  void on_step(const StepView& step) override;
  void on_request(int32_t replica, const records::RequestRecord& request) override;
  void on_stats(int32_t replica, const records::StepStats& stats) override {
    next_.on_stats(replica, stats);
  }
  void on_lost(const SimulatedRequest& request, Loss loss, int64_t time_ns) override {
    next_.on_lost(request, loss, time_ns);
  }
  bool wants_stats() const override { return next_.wants_stats(); }
  bool wants_hashes() const override { return next_.wants_hashes(); }

 private:
  const FrontendLatency latency_;
  Observer& next_;
  int64_t step_out_ns_ = 0;  // of the latest step
  /// Of the step that gave the first token, by request in flight; only when streams matter.
  std::unordered_map<scheduler::RequestId, int64_t> first_out_ns_;
};

}  // namespace touchstone::simulator
