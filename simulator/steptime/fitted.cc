#include "simulator/steptime/fitted.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/statistics.h"
#include "base/text.h"
#include "simulator/steptime/least_squares.h"
#include "simulator/steptime/terms_shape.h"

namespace touchstone::simulator {
namespace {

constexpr int64_t kFewestSamples = 20;
constexpr size_t kFolds = 5;
// No step is measured more exactly than this share of the median one.
constexpr double kFinest = 1e-4;
// Above it a time may not fit into 64 bits.
constexpr double kLongest = 9e18;

using Row = StepTerms;

LeastSquares problem_of(std::span<const StepSample> samples) {
  LeastSquares problem;
  for (const StepSample& sample : samples) {
    const Row row = step_terms(sample.features);
    problem.add({row.begin(), row.end()}, static_cast<double>(sample.duration_ns), 1);
  }
  return problem;
}

double predicted(const Row& fit, const std::vector<double>& row) {
  return std::inner_product(fit.begin(), fit.end(), row.begin(), 0.0);
}

/// All zeros when the terms explain nothing. Scaled so that the total time is the measured one.
Row fit_rows(const LeastSquares& p, unsigned allowed) {
  Row fit = {};
  const auto found = fit_non_negative(p, allowed, {.finest = kFinest * quantile(p.values, 0.5)});
  if (!found) return fit;
  std::copy(found->begin(), found->end(), fit.begin());
  double total_measured = 0;
  double total_predicted = 0;
  for (size_t s = 0; s < p.rows.size(); ++s) {
    total_measured += p.values[s];
    total_predicted += predicted(fit, p.rows[s]);
  }
  for (double& c : fit) c *= total_measured / total_predicted;
  return fit;
}

/// Folds are contiguous: neighbouring steps are alike, and a step between two that were seen is
/// not held out at all.
void judge_held_out(const LeastSquares& p, unsigned allowed, StepTimeFit& result) {
  std::vector<double> errors;
  double total_measured = 0;
  double total_predicted = 0;
  const auto fold_of = [&](size_t s) { return s * kFolds / p.rows.size(); };
  for (size_t fold = 0; fold < kFolds; ++fold) {
    LeastSquares seen;
    for (size_t s = 0; s < p.rows.size(); ++s) {
      if (fold_of(s) != fold) seen.add(p.rows[s], p.values[s], 1);
    }
    const Row fit = fit_rows(seen, allowed);
    for (size_t s = 0; s < p.rows.size(); ++s) {
      if (fold_of(s) != fold) continue;
      const double time = predicted(fit, p.rows[s]);
      total_measured += p.values[s];
      total_predicted += time;
      if (p.values[s] > 0) errors.push_back(std::abs(time - p.values[s]) / p.values[s]);
    }
  }
  result.held_out_total_error = total_measured > 0 ? total_predicted / total_measured - 1 : 0;
  result.held_out_median_error = errors.empty() ? 0 : quantile(errors, 0.5);
}

class FittedStepTime final : public StepTimeModel {
 public:
  explicit FittedStepTime(const StepTimeFit& fit) : fit_(fit) {}
  int64_t duration_ns(const StepFeatures& features, StepNoise&) const override {
    const Row row = step_terms(features);
    const double ns = std::inner_product(row.begin(), row.end(), fit_.ns.begin(), 0.0);
    return ns < kLongest ? std::max<int64_t>(1, std::llround(ns)) : INT64_MAX;
  }
  Validity validity() const override { return fit_.validity; }
  std::string describe() const override { return "fitted: " + describe_terms(fit_.ns); }

 private:
  const StepTimeFit fit_;
};

}  // namespace

Result<StepTimeFit> fit_step_times(std::span<const StepSample> samples) {
  if (std::ssize(samples) < kFewestSamples) {
    return invalid_argument("step times: got " + std::to_string(samples.size()) +
                                " steps, expected at least " + std::to_string(kFewestSamples),
                            "fit a longer run");
  }
  const LeastSquares problem = problem_of(samples);
  const unsigned allowed = identified_columns(problem);
  constexpr unsigned kPrefillOrDecode = 0b00110;
  if ((allowed & kPrefillOrDecode) == 0) {
    return invalid_argument(
        "step times: got steps that all do the same work, expected prefill or decode to vary",
        "fit a run with prompts and batches of several sizes");
  }
  StepTimeFit fit{.samples = std::ssize(samples)};
  fit.validity.low = fit.validity.high = samples.front().features;
  fit.validity.low.step = 0;
  fit.validity.high.step = INT64_MAX;
  for (const StepSample& sample : samples) fit.validity.include(sample.features);
  fit.ns = fit_rows(problem, allowed);
  for (size_t i = 0; i < kStepTerms; ++i) {
    if ((allowed >> i & 1) == 0) fit.unidentified.emplace_back(kStepTermNames[i]);
  }
  judge_held_out(problem, allowed, fit);
  return fit;
}

std::unique_ptr<StepTimeModel> make_fitted_step_time(const StepTimeFit& fit) {
  return std::make_unique<FittedStepTime>(fit);
}

}  // namespace touchstone::simulator
