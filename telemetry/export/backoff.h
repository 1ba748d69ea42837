// How long an exporter waits before it tries again: doubled each time up to a limit, give or take a
// fifth, so that many engines do not come back at once. Thread-compatible.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/random.h"

namespace touchstone::telemetry {

class Backoff final {
 public:
  Backoff(int64_t first_ns, int64_t max_ns, uint64_t seed)
      : first_ns_(first_ns), max_ns_(max_ns), jitter_(seed, "exporter back-off") {}

  /// Before the retry with this number, from 0.
  int64_t ns(int64_t retry) {
    int64_t ns = first_ns_;
    for (; retry > 0 && ns < max_ns_; --retry) ns *= 2;
    return std::min(ns, max_ns_) / 100 * jitter_.between(80, 120);
  }

 private:
  const int64_t first_ns_;
  const int64_t max_ns_;
  RandomStream jitter_;
};

}  // namespace touchstone::telemetry
