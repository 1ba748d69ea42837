// One simulation of a planner: so many replicas of one kind under the trace at a rate. Equal trials
// give equal results; trials that differ in the fleet meet the same requests (common random
// numbers). Thread-safe: a Trace is shared, everything else is a trial's own.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "simulator/cluster/hardware.h"
#include "simulator/planner/slo.h"
#include "workload/request_reader.h"

namespace touchstone::simulator {

/// The requests that are planned for, and how they could have come instead.
class Trace final {
 public:
  static constexpr int64_t kSlices = 20;
  /// ERRORS: those of the reader; kInvalidArgument when there is no request, or one without
  /// lengths.
  static Result<Trace> read(workload::RequestReader& reader, int64_t most);
  /// `where`: for messages. ERRORS: as read().
  static Result<Trace> of(std::vector<workload::Request> requests, const std::string& where);

  const std::vector<workload::Request>& requests() const { return requests_; }
  double rate_per_s() const;
  int64_t longest_prompt() const { return longest_prompt_; }
  struct Arrival {
    int64_t time_ns = 0;
    size_t request = 0;
    int64_t copy = 0;  ///< of its slice; copies share no sessions and no blocks with each other
  };
  /// By time. Replication 0 is the trace as it is. Another is as long, and each of its kSlices
  /// parts is one of the trace's, drawn with replacement (a block bootstrap): bursts stay whole,
  /// come again or not at all. Never empty.
  std::vector<Arrival> arrivals(uint64_t replication) const;

 private:
  std::vector<workload::Request> requests_;
  int64_t longest_prompt_ = 0;
};

struct Trial {
  scheduler::Config config;
  const StepTimeModel* model = nullptr;
  std::string router = "least-requests";
  int64_t replicas = 1;
  double rate = 1;           ///< times that of the trace
  double step_time = 1;      ///< times the model's
  double prompt_tokens = 1;  ///< times the trace's
  double output_tokens = 1;
  uint64_t replication = 0;
  bool one_at_a_time = false;    ///< no load: each request alone, arrivals are not used
  int64_t requests = INT64_MAX;  ///< at most, the first ones
  /// Sends nothing more once a limit cannot be kept any more: the verdict is that of the whole, the
  /// figures are not.
  bool stop_when_broken = false;
};

struct TrialResult {
  Attainment attainment;
  bool cut_short = false;  ///< Trial::stop_when_broken did; a limit is broken
  bool kept() const { return !cut_short && attainment.all_kept(); }
  int64_t steps = 0;
  int64_t preemptions = 0;
  int64_t extrapolated_steps = 0;
  int64_t peak_running = 0;      ///< of one replica
  int64_t peak_used_blocks = 0;  ///< of one replica
  int64_t total_blocks = 0;      ///< of one replica
  /// Steps after which requests waited although there was room, by what there was no room of.
  int64_t waited_for_seqs = 0;
  int64_t waited_for_tokens = 0;
  int64_t waited_for_blocks = 0;
  double busy_share = 0;  ///< of the replicas' time, until the last request ended
  double output_tokens_per_s = 0;
  double cached_share = 0;  ///< of the prompt tokens

  /// What requests waited for most: "KV blocks", "max-num-seqs", "max-num-batched-tokens" or
  /// "step time".
  const char* bottleneck() const;
};

/// ERRORS: those of run_simulation().
Result<TrialResult> run_trial(const Trace& trace, const Trial& trial, const Slos& slos);

}  // namespace touchstone::simulator
