// The result model's tables of a simulation. Pure; thread-safe.
#pragma once

#include <vector>

#include "result/result_model.h"
#include "simulator/run_folder.h"
#include "simulator/simulation.h"

namespace touchstone::simulator {

/// What happened, and the latencies; prefix queries and hits as vLLM counts them.
void add_simulation(const Summary& summary, const scheduler::Counters& counters,
                    result::Report& report);

/// Client-side latencies beside the simulated ones, with errors relative to the measured values.
void add_measured_latencies(const std::vector<MeasuredLatency>& measured, const Summary& summary,
                            result::Report& report);

}  // namespace touchstone::simulator
