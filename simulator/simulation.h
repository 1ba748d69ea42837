// Runs a replica in virtual time over a source of requests, and sums up what happened.
// Equal inputs give equal results and an equal event fingerprint (INV-8). Thread-compatible.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "simulator/replica.h"
#include "simulator/request.h"
#include "simulator/steptime/model.h"

namespace touchstone::simulator {

struct SimulationEnd {
  int64_t events = 0;
  uint64_t fingerprint = 0;
  int64_t end_ns = 0;
  scheduler::Counters counters;
};

/// Runs until the source is empty and everything that arrived is over.
/// ERRORS: kInvalidArgument: a bad config, a request the server could never hold, arrivals that go
/// back; those of the source.
Result<SimulationEnd> run_simulation(const scheduler::Config& config, RequestSource& source,
                                     StepTimeModel& model, Observer& observer);

/// The figures of a run. One number is kept per request and latency: quantiles are exact.
class Summary final : public Observer {
 public:
  void on_step(const StepView& step) override;
  void on_request(const RequestTimes& request) override;
  /// The same for a step that was logged or replayed in a pool of `total` blocks.
  void add_step(const records::StepRecord& step, int64_t total);

  int64_t steps = 0;
  int64_t busy_ns = 0;
  int64_t peak_running = 0;
  int64_t peak_waiting = 0;
  int64_t peak_used_blocks = 0;
  int64_t total_blocks = 0;
  int64_t preemptions = 0;

  int64_t completed = 0;
  int64_t aborted = 0;
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;
  int64_t completion_tokens = 0;
  std::optional<int64_t> first_arrival_ns;
  int64_t last_finish_ns = 0;
  int64_t makespan_ns() const { return last_finish_ns - first_arrival_ns.value_or(0); }

  std::vector<double> queue_s;  ///< latencies in the order in which requests ended
  std::vector<double> ttft_s;
  std::vector<double> tpot_s;  ///< (last - first token) / (tokens - 1), with two tokens or more
  std::vector<double> e2e_s;   ///< of completed requests

 private:
  void count_step(int64_t duration_ns, int64_t preempted, const scheduler::State& state);
};

}  // namespace touchstone::simulator
