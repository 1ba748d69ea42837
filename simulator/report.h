// The result model's tables of a simulation. Pure; thread-safe.
#pragma once

#include <vector>

#include "result/result_model.h"
#include "simulator/summary.h"

namespace touchstone::simulator {

/// What happened, and the latencies; prefix queries and hits as vLLM counts them.
void add_simulation(const Summary& summary, const scheduler::Counters& counters,
                    result::Report& report);

/// Charts: which share of the requests took how long.
void add_distributions(const Summary& summary, result::Report& report);

/// What was paid for: hours that replicas were on, and their price. Nothing without prices.
/// REQUIRES: a price and a time for each replica, or no prices.
void add_cost(const std::vector<double>& price_per_hour, const std::vector<int64_t>& on_ns,
              const Summary& total, result::Report& report);

/// Sums over the replicas.
scheduler::Counters total_of(const std::vector<scheduler::Counters>& replicas);

/// One column for each replica. REQUIRES: as many counters as summaries.
void add_replicas(const std::vector<Summary>& summaries,
                  const std::vector<scheduler::Counters>& counters, result::Report& report);

}  // namespace touchstone::simulator
