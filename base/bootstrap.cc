#include "base/bootstrap.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/random.h"
#include "base/statistics.h"

namespace touchstone {
namespace {

constexpr int kResamples = 1000;

bool usable(const std::vector<double>& sample) {
  return sample.size() >= kRatioSamplesLeast &&
         std::all_of(sample.begin(), sample.end(),
                     [](double x) { return std::isfinite(x) && x > 0; });
}

/// The median of as many drawn from `sample` with replacement; `drawn` is room for them.
double resampled_median(const std::vector<double>& sample, RandomStream& random,
                        std::vector<double>& drawn) {
  drawn.resize(sample.size());
  for (double& one : drawn) one = sample[random.below(sample.size())];
  const auto middle = drawn.begin() + static_cast<std::ptrdiff_t>(drawn.size() / 2);
  std::nth_element(drawn.begin(), middle, drawn.end());
  if (drawn.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(drawn.begin(), middle)) / 2;
}

}  // namespace

std::optional<RatioInterval> median_ratio(const std::vector<double>& base,
                                          const std::vector<double>& value, bool paired,
                                          double confidence, uint64_t seed) {
  BASE_CHECK(confidence > 0 && confidence < 1, confidence);
  if (!usable(base) || !usable(value)) return std::nullopt;
  RandomStream random(seed, "bootstrap");
  std::vector<double> drawn;
  std::vector<double> ratios(kResamples);
  RatioInterval result;
  result.paired = paired;
  if (paired) {
    BASE_CHECK(base.size() == value.size(), base.size(), " and ", value.size());
    std::vector<double> pairs(base.size());
    for (size_t i = 0; i < base.size(); ++i) pairs[i] = value[i] / base[i];
    result.ratio = quantile(pairs, 0.5);
    for (double& ratio : ratios) ratio = resampled_median(pairs, random, drawn);
  } else {
    result.ratio = quantile(value, 0.5) / quantile(base, 0.5);
    for (double& ratio : ratios) {
      const double over = resampled_median(value, random, drawn);
      ratio = over / resampled_median(base, random, drawn);
    }
  }
  result.low = quantile(ratios, (1 - confidence) / 2);
  result.high = quantile(std::move(ratios), (1 + confidence) / 2);
  return result;
}

}  // namespace touchstone
