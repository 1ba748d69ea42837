// What lies between clients and a server's engine: requests reach it later than they arrived (the
// simulation does that), tokens reach their clients later than the step ended. Thread-compatible.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "simulator/cluster/forwarding_observer.h"
#include "simulator/cluster/replica.h"
#include "simulator/request.h"
#include "simulator/steptime/model.h"

namespace touchstone::simulator {

/// How long a request with this prompt takes to the engine.
int64_t frontend_in_ns(const FrontendLatency& latency, int64_t prompt_tokens);
/// How long the tokens of a step take to their clients.
int64_t frontend_out_ns(const FrontendLatency& latency, int64_t streams);

/// How many streams a step gives a token.
int64_t frontend_streams(const scheduler::StepPlan& plan);

/// Passes on records as clients see them: to the tokens that reached them. Steps are passed on as
/// they are.
class FrontendObserver final : public ForwardingObserver {
 public:
  /// The latencies are those of the replicas' models. `next` outlives it.
  FrontendObserver(std::span<const ReplicaOptions> replicas, Observer& next);
  void on_step(const StepView& step) override;
  void on_request(int32_t replica, const records::RequestRecord& request) override;

 private:
  struct Server {
    FrontendLatency latency;
    int64_t step_out_ns = 0;  // of the latest step
    /// Of the step that gave the first token, by request in flight; only when streams matter.
    std::unordered_map<scheduler::RequestId, int64_t> first_out_ns;
  };
  std::vector<Server> servers_;  // by replica
};

}  // namespace touchstone::simulator
