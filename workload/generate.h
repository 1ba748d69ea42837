// Makes workloads from a seed: arrival process, lengths, shared prefixes. Equal options give equal
// workloads on every machine. Thread-compatible.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "workload/workload.h"

namespace touchstone::workload {

/// A closed range of lengths, drawn uniformly.
struct LengthRange {
  int64_t low = 1;
  int64_t high = 1;
};

struct GenerateOptions {
  enum class Arrivals {
    kConstant,  ///< every 1/rate seconds
    kPoisson,   ///< exponential gaps
    kGamma,     ///< gaps with the given coefficient of variation: 1 is Poisson, above is bursty
  };
  uint64_t seed = 0;
  int64_t requests = 0;
  Arrivals arrivals = Arrivals::kPoisson;
  double rate_per_s = 1;
  double gap_variation = 1;  ///< standard deviation of the gaps over their mean; kGamma only
  LengthRange prompt_tokens{.low = 128, .high = 512};
  LengthRange output_tokens{.low = 16, .high = 128};
  /// Prefixes shared by several prompts; a request has one of them with `prefix_percent`, and then
  /// its own tokens (at least one) after it.
  int64_t prefixes = 0;
  int64_t prefix_tokens = 0;
  int64_t prefix_percent = 100;
  int64_t prefix_block_size = 16;
};

/// ERRORS: kInvalidArgument naming the option.
Status validate(const GenerateOptions& options);

/// One request after the other, so that a long workload needs no memory.
class Generator final {
 public:
  /// REQUIRES: validate(options).
  explicit Generator(const GenerateOptions& options);
  /// False when all were made; `request` is then unchanged.
  bool next(Request& request);

 private:
  double draw_gap_ns();
  int64_t next_arrival_ns();

  const GenerateOptions options_;
  RandomStream gaps_;
  RandomStream lengths_;
  RandomStream sharing_;
  int64_t made_ = 0;
  int64_t now_ns_ = 0;
};

/// All requests of a generator. ERRORS: those of validate().
Result<Workload> generate(const GenerateOptions& options);

}  // namespace touchstone::workload
