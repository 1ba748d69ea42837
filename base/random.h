// Seeded random streams, one per named subsystem, and a counter-based generator for sampling.
// Sources: xoshiro256** 1.0 and SplitMix64 (Blackman, Vigna); Philox4x32-10 (Salmon et al., SC'11).
// Equal seed and name give equal numbers on every machine. RandomStream is thread-compatible.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace touchstone {

/// One SplitMix64 step: a good 64-bit mix of `state`, which it advances.
uint64_t splitmix64(uint64_t& state);

class RandomStream {
 public:
  /// The stream `name` of the run with `seed`; different names are independent.
  RandomStream(uint64_t seed, std::string_view name);

  uint64_t next();
  /// Uniform in [0, bound), unbiased. REQUIRES: bound > 0.
  uint64_t below(uint64_t bound);
  /// Uniform integer in the closed range [low, high]. REQUIRES: low <= high.
  int64_t between(int64_t low, int64_t high);
  /// Uniform in [0, 1) with 53 bits.
  double uniform();
  /// True with probability numerator/denominator. REQUIRES: 0 <= numerator <= denominator > 0.
  bool chance(uint64_t numerator, uint64_t denominator);
  /// Exponential with the given mean. REQUIRES: mean > 0.
  double exponential(double mean);
  /// Standard normal (polar method; its own second value is not kept).
  double normal();
  /// Gamma with the given shape and scale (Marsaglia–Tsang). REQUIRES: both > 0.
  double gamma(double shape, double scale);

 private:
  std::array<uint64_t, 4> state_;
};

/// Philox4x32-10: the four 32-bit words of block `counter` under `key`. Stateless, so a sampled
/// token depends only on (seed, position), never on the batch.
std::array<uint32_t, 4> philox4x32(uint64_t key, std::array<uint32_t, 4> counter);

}  // namespace touchstone
