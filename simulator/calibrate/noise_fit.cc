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

/// log(measured / simulated) of the requests' times and how many steps each took.
struct Ratios {
  std::vector<double> logs;
  std::vector<double> steps;
};

void add_ratio(Ratios& ratios, const Trial& trial, double measured_s, int64_t from_ns,
               int64_t to_ns) {
  const auto simulated_s = static_cast<double>(to_ns - from_ns) / kNsPerS;
  if (measured_s <= 0 || simulated_s <= 0) return;
  const auto ends_before = [&](int64_t time_ns) {
    return std::upper_bound(trial.steps.begin(), trial.steps.end(), time_ns,
                            [](int64_t time, const TrialStep& step) { return time < step.end_ns; });
  };
  ratios.logs.push_back(std::log(measured_s / simulated_s));
  ratios.steps.push_back(
      std::max(1.0, static_cast<double>(ends_before(to_ns) - ends_before(from_ns))));
}

}  // namespace

NoiseLevel fit_noise(std::span<const FitLoad> loads, std::span<const Trial> trials,
                     const StepTimeModel& model) {
  const NoiseLevel of_steps = noise_of_steps(loads, model);
  if (of_steps.sigma > 0) return of_steps;
  Ratios prefill;
  Ratios decode;
  for (size_t l = 0; l < loads.size(); ++l) {
    for (size_t i = 0; i < loads[l].requests; ++i) {
      const MeasuredTimes& m = loads[l].load->requests[i].times;
      const TrialTimes& s = trials[l].requests[i];
      if (!s.completed || !m.prefill_s || !m.decode_s) continue;
      add_ratio(prefill, trials[l], *m.prefill_s, s.scheduled_ns, s.first_token_ns);
      if (s.output_tokens < 2) continue;
      add_ratio(decode, trials[l], *m.decode_s, s.first_token_ns, s.last_token_ns);
    }
  }
  if (prefill.logs.size() < kFewest || decode.logs.size() < kFewest) return {};
  const double short_sigma = robust_sigma(prefill.logs);
  const double sigma = std::min(kMostSigma, short_sigma * std::sqrt(quantile(prefill.steps, 0.5)));
  if (!(sigma > 0)) return {};
  // The variance of a mean over n steps is that of one, times (1 + c) / (1 - c) / n.
  const double long_sigma = robust_sigma(decode.logs);
  const double lasting = long_sigma * long_sigma * quantile(decode.steps, 0.5) / (sigma * sigma);
  return {.sigma = sigma,
          .correlation = std::clamp((lasting - 1) / (lasting + 1), 0.0, kMostCorrelation)};
}

}  // namespace touchstone::simulator
