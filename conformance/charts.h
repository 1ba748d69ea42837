// Figures, charts and waterfalls for the reader, from what was collected. Pure; one thread.
#pragma once

#include <optional>
#include <vector>

#include "conformance/judge.h"
#include "conformance/matching.h"
#include "conformance/observed.h"
#include "result/result_model.h"

namespace touchstone::conformance {

/// Where every request and every span went; columns add up to the totals, empty classes are left
/// out.
std::vector<result::FigureTable> accounting_tables(const Matching& matching,
                                                   const SpanIndex& index);
/// p50, p95, p99 of each phase.
std::optional<result::FigureTable> latency_table(const SpanIndex& index, const Profile& profile);
/// Cumulative distributions of the phases; at most kCdfPointsMax points a line.
std::vector<result::Chart> latency_charts(const SpanIndex& index, const Profile& profile);
/// The client's request over the server's span over its phases, for the median and the slowest
/// request; without a ledger the server's part alone.
std::vector<result::Waterfall> example_waterfalls(const SpanIndex& index, const Profile& profile,
                                                  const std::optional<Matching>& matching);

inline constexpr size_t kCdfPointsMax = 200;

}  // namespace touchstone::conformance
