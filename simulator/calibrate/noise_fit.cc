#include "simulator/calibrate/noise_fit.h"

#include <algorithm>
#include <cmath>

#include "base/statistics.h"

namespace touchstone::simulator {
namespace {

constexpr double kNsPerS = 1e9;
constexpr size_t kFewest = 20;
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

/// How many steps end within (from_ns, to_ns].
double steps_between(const Trial& trial, int64_t from_ns, int64_t to_ns) {
  const auto after = [&](int64_t time_ns) {
    return std::upper_bound(trial.steps.begin(), trial.steps.end(), time_ns,
                            [](int64_t time, const TrialStep& step) { return time < step.end_ns; });
  };
  return static_cast<double>(after(to_ns) - after(from_ns));
}

}  // namespace

NoiseLevel fit_noise(std::span<const FitLoad> loads, std::span<const Trial> trials,
                     const StepTimeModel& model) {
  const NoiseLevel of_steps = noise_of_steps(loads, model);
  if (of_steps.sigma > 0) return of_steps;
  std::vector<double> logs;
  std::vector<double> steps;
  for (size_t l = 0; l < loads.size(); ++l) {
    for (size_t i = 0; i < loads[l].requests; ++i) {
      const MeasuredTimes& m = loads[l].load->requests[i].times;
      const TrialTimes& s = trials[l].requests[i];
      if (!s.completed || !m.decode_s || !(*m.decode_s > 0)) continue;
      const double count = steps_between(trials[l], s.first_token_ns, s.last_token_ns);
      if (count < 1) continue;
      logs.push_back(std::log(*m.decode_s * kNsPerS /
                              static_cast<double>(s.last_token_ns - s.first_token_ns)));
      steps.push_back(count);
    }
  }
  if (logs.size() < kFewest) return {};
  // The variance of a mean over n steps is that of one, times (1 + c) / (1 - c) / n.
  const double shrink = quantile(steps, 0.5) * (1 - kCorrelation) / (1 + kCorrelation);
  const double sigma = robust_sigma(logs) * std::sqrt(shrink);
  if (!(sigma > 0)) return {};
  return {.sigma = std::min(kMostSigma, sigma), .correlation = kCorrelation};
}

}  // namespace touchstone::simulator
