// Where spans were lost: at which hop of their way from the subject to the file that was read.
// Pure; thread-safe.
#pragma once

#include <optional>

#include "conformance/evidence.h"
#include "conformance/matching.h"
#include "result/result_model.h"

namespace touchstone::conformance {

/// A row a hop that lost some; they add up to all that are owed and missing. With
/// Evidence::hops each is located by its trace; without, by what the Collector's counters leave
/// open, as far as they can tell. nullopt: nothing is missing.
/// `arrived`: spans in the file, each once.
std::optional<result::FigureTable> loss_table(const Evidence& evidence, const Matching& matching,
                                              int64_t arrived);

}  // namespace touchstone::conformance
