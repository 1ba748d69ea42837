// Figures, charts and waterfalls for the reader, from what was collected. Pure; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "conformance/budgets.h"
#include "conformance/examples.h"
#include "conformance/observed.h"
#include "result/result_model.h"

namespace touchstone::conformance {

/// Where every request and every one of the `received` spans went; columns add up to the totals,
/// empty classes are left out. REQUIRES: observed.matching.
std::vector<result::FigureTable> accounting_tables(const Observed& observed, int64_t received);
/// p50, p95, p99 of each phase.
std::optional<result::FigureTable> latency_table(PhaseSamples& phases);
/// Cumulative distributions of the phases; at most kCdfPointsMax points a line.
std::vector<result::Chart> latency_charts(PhaseSamples& phases);
/// The client's request over the server's span over its phases, for the median and the slowest
/// request; without a ledger the server's part alone.
std::vector<result::Waterfall> example_waterfalls(const Examples& examples);

inline constexpr size_t kCdfPointsMax = 200;

}  // namespace touchstone::conformance
