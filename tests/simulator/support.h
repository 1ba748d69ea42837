// What the simulator's tests share: an observer that keeps everything, sources from lists.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "reference_engine/lifecycle/schedule_log.h"
#include "simulator/logs.h"
#include "simulator/simulation.h"
#include "simulator/sources.h"
#include "simulator/steptime/constant.h"
#include "simulator/steptime/linear.h"
#include "simulator/summary.h"

namespace touchstone::simulator {

class Keeper final : public Observer {
 public:
  void on_step(const StepView& step) override {
    steps.push_back(step_record(step));
    step_replicas.push_back(step.replica);
  }
  void on_request(int32_t replica, const records::RequestRecord& request) override {
    requests.push_back(request);
    request_replicas.push_back(replica);
  }
  bool wants_hashes() const override { return true; }

  std::vector<records::StepRecord> steps;
  std::vector<int32_t> step_replicas;  ///< of each step
  std::vector<records::RequestRecord> requests;
  std::vector<int32_t> request_replicas;  ///< of each request
};

class ListSource final : public RequestSource {
 public:
  explicit ListSource(std::vector<SimulatedRequest> requests) : requests_(std::move(requests)) {}
  Result<bool> next(SimulatedRequest& request) override {
    if (next_ == requests_.size()) return false;
    request = requests_[next_++];
    return true;
  }

 private:
  std::vector<SimulatedRequest> requests_;
  size_t next_ = 0;
};

inline SimulatedRequest simulated(uint64_t id, int64_t arrival_ns, int32_t prompt, int32_t output) {
  SimulatedRequest r{.name = "r" + std::to_string(id)};
  r.request = {
      .id = id, .arrival_ns = arrival_ns, .num_prompt_tokens = prompt, .max_tokens = output};
  return r;
}

inline scheduler::Config small_config() {
  return {.num_blocks = 101,
          .block_size = 4,
          .max_num_seqs = 4,
          .max_num_batched_tokens = 32,
          .max_model_len = 200};
}

/// Steps and requests of a run as telemetry would have them.
inline records::StepLog log_of(const Keeper& keeper, const scheduler::Config& config) {
  return {lifecycle::header_of(config, "virtual"), keeper.steps};
}

}  // namespace touchstone::simulator
