// e^x with the same bits on every processor: the C library's differs in the last bit between
// instruction sets, and a draw must not depend on the machine. Pure; thread-safe.
#pragma once

#include <span>
#include <vector>

namespace touchstone::sampling {

/// out[i] = e^((logits[i] - top) / temperature) where that exponent is in (-700, 0]; 0 where it is
/// lower, infinitely low or not a number. Relative error below 1e-15.
/// REQUIRES out.size() == logits.size(), temperature > 0, no logit above `top`.
void exponentials(std::span<const float> logits, float top, double temperature,
                  std::span<double> out);

/// exponentials(), rounded to multiples of 2^-35, the last bit of kWeightGrid: sums of up to 2^18
/// of them are exact, so that they are the same in any order and on any device.
void draw_weights(std::span<const float> logits, float top, double temperature,
                  std::span<double> out);
inline constexpr double kWeightGrid = 0x1p17;

/// Both as one instruction set has them, `grid` 0 or kWeightGrid; all give the same bits.
struct ExponentialPath {
  const char* name;  ///< "avx512", "avx2", "portable"
  void (*run)(std::span<const float> logits, double top, double scale, double grid, double* out);
};
/// What this processor can run, best first; portable is always the last.
std::vector<ExponentialPath> exponential_paths();

/// The sum of `values`, always added in the same order, eight chains side by side.
double ordered_sum(std::span<const double> values);

}  // namespace touchstone::sampling
