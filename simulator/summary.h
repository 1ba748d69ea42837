// The figures of a simulation: of one replica, or of several put together. Thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "simulator/cluster/replica.h"
#include "simulator/latencies.h"

namespace touchstone::simulator {

class Summary final : public Observer {
 public:
  void on_step(const StepView& step) override;
  void on_request(int32_t replica, const records::RequestRecord& request) override;
  /// The same for a step that was logged or replayed in a pool of `total` blocks.
  void add_step(const records::StepRecord& step, int64_t total);
  /// on_request() is these two.
  void count_request(const records::RequestRecord& request);
  void add_latencies(const records::RequestRecord& request);
  /// Adds another replica's counts: sums are those of both, peaks the higher ones. REQUIRES: the
  /// other has no latencies.
  void merge(const Summary& other);

  int64_t steps = 0;
  int64_t extrapolated_steps = 0;
  int64_t busy_ns = 0;
  int64_t peak_running = 0;
  int64_t peak_waiting = 0;
  int64_t peak_used_blocks = 0;
  int64_t total_blocks = 0;  ///< of one replica, the largest
  int64_t preemptions = 0;

  int64_t completed = 0;
  int64_t aborted = 0;
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;
  int64_t completion_tokens = 0;
  std::optional<int64_t> first_arrival_ns;
  int64_t last_finish_ns = 0;
  int64_t makespan_ns() const { return last_finish_ns - first_arrival_ns.value_or(0); }

  Latencies wait_s;   ///< arrival to first scheduled
  Latencies queue_s;  ///< queued to first scheduled: vLLM's time_in_queue
  Latencies ttft_s;
  Latencies tpot_s;  ///< (last - first token) / (tokens - 1), with two tokens or more
  Latencies e2e_s;   ///< of completed requests

  // Of the whole, not of a replica: what nobody served, and attempts that a crash ended.
  int64_t refused = 0;
  int64_t gave_up = 0;
  int64_t crashed = 0;

 private:
  void count_step(int64_t duration_ns, int64_t preempted, const scheduler::State& state);
};

/// One summary for each replica, without latencies: those are of the whole.
class ClusterSummary final : public Observer {
 public:
  explicit ClusterSummary(size_t replicas) : replicas_(replicas) {}
  void on_step(const StepView& step) override { of(step.replica).on_step(step); }
  void on_request(int32_t replica, const records::RequestRecord& request) override {
    of(replica).count_request(request);
    whole_.add_latencies(request);
  }

  void on_lost(const SimulatedRequest& request, Loss loss, int64_t time_ns) override;

  const std::vector<Summary>& replicas() const { return replicas_; }
  Summary total() const;

 private:
  Summary& of(int32_t replica) { return replicas_[static_cast<size_t>(replica)]; }

  std::vector<Summary> replicas_;
  Summary whole_;  // latencies, and what no replica served
};

}  // namespace touchstone::simulator
