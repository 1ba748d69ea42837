// What a load came to, in numbers. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "harness/load/generator.h"

namespace touchstone::harness {

struct LoadSummary {
  std::map<std::string, int64_t> outcomes;  ///< "completed" → how many; none is left out
  int64_t output_tokens = 0;                ///< of completed requests, by their usage
  double duration_s = 0;
  /// Of completed requests, from the intended time of sending, so that a generator that fell behind
  /// shows it (no coordinated omission).
  std::vector<double> ttft_s;  ///< of those that were streamed
  std::vector<double> e2e_s;

  double output_tokens_per_s() const {
    return duration_s > 0 ? static_cast<double>(output_tokens) / duration_s : 0;
  }
};

LoadSummary summarize(const LoadOutcome& load);

}  // namespace touchstone::harness
