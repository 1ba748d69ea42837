// Monotone searches that keep their proof: the point that holds and the neighbour that does not.
// Pure but for what the question does. Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/result.h"

namespace touchstone::simulator {

/// Whether the question holds at a point.
using HoldsAtCount = std::function<Result<bool>(int64_t)>;
using HoldsAtRate = std::function<Result<bool>(double)>;

struct CountFound {
  std::optional<int64_t> least;  ///< that holds; nullopt: none up to the most
  std::optional<int64_t> fails;  ///< the one below, when there is one
};
/// The least count in [1, most] at which the question holds, for a question that holds from some
/// count on. Asks near `guess` first. REQUIRES: 1 <= guess <= most.
Result<CountFound> least_count(int64_t guess, int64_t most, const HoldsAtCount& holds);

struct RateFound {
  std::optional<double> most;   ///< that holds; nullopt: not even `low`
  std::optional<double> fails;  ///< within (1 + precision) of it; nullopt: `high` holds too
};
/// The highest rate in [low, high] at which the question holds, for a question that holds up to
/// some rate. Begins at `guess`. REQUIRES: 0 < low <= guess <= high, precision > 0.
Result<RateFound> highest_rate(double low, double guess, double high, double precision,
                               const HoldsAtRate& holds);

}  // namespace touchstone::simulator
