#include "simulator/calibrate/noise_fit.h"

#include <algorithm>
#include <cmath>

#include "base/statistics.h"
#include "simulator/calibrate/marks.h"

namespace touchstone::simulator {
namespace {

constexpr size_t kFewest = 20;
/// Over so many steps chance shows above what a schedule that is off by a step does, and above the
/// error of the costs, which does not even out.
constexpr size_t kWindowSteps = 48;
constexpr size_t kFewestWindows = 8;
constexpr double kMostSigma = 1.0;
constexpr double kMostCorrelation = 0.999;
/// Of one step with the next, where steps were not logged: as seen in logs of a busy machine.
constexpr double kCorrelation = 0.6;

/// 1.4826 x the median distance from the median: the standard deviation of a normal.
double robust_sigma(const std::vector<double>& values) {
  const double center = quantile(values, 0.5);
  std::vector<double> distances;
  for (const double value : values) distances.push_back(std::abs(value - center));
  return 1.4826 * quantile(distances, 0.5);
}

NoiseLevel noise_of_steps(std::span<const FitLoad> loads, const StepTimeModel& model) {
  std::vector<double> logs;
  double product = 0;
  double square = 0;
  StepNoise unused(0, "unused");
  for (const FitLoad& fit : loads) {
    std::vector<double> own;
    for (const StepSample& step : fit.load->steps) {
      const auto predicted = static_cast<double>(model.duration_ns(step.features, unused));
      own.push_back(
          std::log(static_cast<double>(std::max<int64_t>(1, step.duration_ns)) / predicted));
    }
    if (own.size() < kFewest) continue;
    const double limit = 3 * robust_sigma(own);
    const double center = quantile(own, 0.5);
    for (double& value : own) value = std::clamp(value - center, -limit, limit);
    for (size_t i = 0; i < own.size(); ++i) {
      square += own[i] * own[i];
      if (i > 0) product += own[i] * own[i - 1];
    }
    logs.insert(logs.end(), own.begin(), own.end());
  }
  if (logs.size() < kFewest || square <= 0) return {};
  return {.sigma = std::min(kMostSigma, std::sqrt(square / static_cast<double>(logs.size()))),
          .correlation = std::clamp(product / square, 0.0, kMostCorrelation)};
}

}  // namespace

NoiseLevel fit_noise(std::span<const FitLoad> loads, std::span<const SimulatedLoad> trials,
                     const StepTimeModel& model) {
  const NoiseLevel of_steps = noise_of_steps(loads, model);
  if (of_steps.sigma > 0) return of_steps;
  std::vector<double> logs;
  std::vector<double> steps;
  for (size_t l = 0; l < loads.size(); ++l) {
    for (const MarkedInterval& i : marked_intervals(loads[l], trials[l], kWindowSteps)) {
      logs.push_back(
          std::log(i.measured_ns / static_cast<double>(i.simulated_to_ns - i.simulated_from_ns)));
      steps.push_back(i.steps);
    }
  }
  if (logs.size() < kFewestWindows) return {};
  // The variance of a mean over n steps is that of one, times (1 + c) / (1 - c) / n.
  const double shrink = quantile(steps, 0.5) * (1 - kCorrelation) / (1 + kCorrelation);
  const double sigma = robust_sigma(logs) * std::sqrt(shrink);
  if (!(sigma > 0)) return {};
  return {.sigma = std::min(kMostSigma, sigma), .correlation = kCorrelation};
}

}  // namespace touchstone::simulator
