// StepStats: what one engine step adds to the statistics. Made by reference_engine/lifecycle for
// engine and simulator alike; read by telemetry. Values; thread-compatible.
// Source of the meanings: vLLM 0.32 v1/metrics/stats.py (SchedulerStats, IterationStats).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace touchstone::records {

struct StepStats {
  int64_t running = 0;  ///< after schedule()
  int64_t waiting = 0;
  /// Of `waiting`, those that something other than capacity holds back (an adapter, a transfer).
  int64_t waiting_deferred = 0;
  /// Adapters with requests that wait or run, in the order in which the first of them came.
  std::vector<std::string> adapters;
  double kv_cache_usage = 0;  ///< 0 to 1
  /// Tokens looked up in the prefix cache and found, by requests first admitted in this step.
  int64_t prefix_cache_queries = 0;
  int64_t prefix_cache_hits = 0;
  int64_t preemptions = 0;
  /// Prompt tokens of the requests whose first token came in this step.
  int64_t prompt_tokens_computed = 0;
  int64_t prompt_tokens_cached = 0;
  int64_t generation_tokens = 0;
  std::vector<int64_t> time_to_first_token_ns;  ///< since the request's arrival
  std::vector<int64_t> inter_token_latency_ns;  ///< since the request's previous output
};

}  // namespace touchstone::records
