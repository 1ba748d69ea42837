// Two simulations beside each other. Pure; thread-safe.
#pragma once

#include "result/result_model.h"

namespace touchstone::simulator {

/// Appends a comparison of every figure of the tables "Simulation", "Latency" and "Cost" that both
/// have and that is not zero in both; the other one is the baseline. Latencies, waits, preemptions
/// and cost are better when lower, rates when higher; of the rest any difference is told.
void add_against(const result::Report& other, result::Report& report);

}  // namespace touchstone::simulator
