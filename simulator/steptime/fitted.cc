#include "simulator/steptime/fitted.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/statistics.h"
#include "base/text.h"

namespace touchstone::simulator {
namespace {

constexpr int64_t kFewestSamples = 20;
constexpr size_t kFolds = 5;
constexpr int kReweightings = 12;
// Residuals within this many robust standard deviations count fully (95 % efficiency, Huber 1964).
constexpr double kHuber = 1.345;
// No step is measured more exactly than this share of the median one: a perfect fit must not make
// rounding errors into outliers.
constexpr double kFinest = 1e-4;
// A column whose part outside the columns before it is smaller than this is a combination of them.
constexpr double kCollinear = 1e-6;
// Above it a time may not fit into 64 bits.
constexpr double kLongest = 9e18;

using Row = std::array<double, kStepTerms>;

Row row_of(const StepFeatures& f) {
  return {1.0, static_cast<double>(f.prefill_tokens), static_cast<double>(f.decode_requests),
          static_cast<double>(f.context_tokens), static_cast<double>(f.prefill_attention)};
}

double dot(const Row& a, const Row& b) {
  double sum = 0;
  for (size_t i = 0; i < kStepTerms; ++i) sum += a[i] * b[i];
  return sum;
}

struct Problem {
  std::vector<Row> rows;  // scaled: each column has root mean square 1
  std::vector<double> times;
};

/// Weighted normal equations.
struct Normal {
  std::array<Row, kStepTerms> gram = {};
  Row moment = {};
};

Normal normal_equations(const Problem& p, const std::vector<double>& weights) {
  Normal n;
  for (size_t s = 0; s < p.rows.size(); ++s) {
    for (size_t i = 0; i < kStepTerms; ++i) {
      const double weighted = weights[s] * p.rows[s][i];
      n.moment[i] += weighted * p.times[s];
      for (size_t j = 0; j < kStepTerms; ++j) n.gram[i][j] += weighted * p.rows[s][j];
    }
  }
  return n;
}

/// Least squares over the terms in `set` by Cholesky; nullopt when they are collinear.
std::optional<Row> solve(const Normal& n, unsigned set) {
  std::vector<size_t> terms;
  for (size_t i = 0; i < kStepTerms; ++i) {
    if ((set >> i & 1) != 0) terms.push_back(i);
  }
  const size_t size = terms.size();
  std::array<Row, kStepTerms> lower = {};
  Row y = {};
  for (size_t i = 0; i < size; ++i) {
    double value = n.moment[terms[i]];
    for (size_t j = 0; j <= i; ++j) {
      double sum = n.gram[terms[i]][terms[j]];
      for (size_t k = 0; k < j; ++k) sum -= lower[i][k] * lower[j][k];
      if (i != j) {
        lower[i][j] = sum / lower[j][j];
        value -= lower[i][j] * y[j];
      } else if (!(sum > kCollinear * n.gram[terms[i]][terms[i]])) {
        return std::nullopt;
      } else {
        lower[i][i] = std::sqrt(sum);
      }
    }
    y[i] = value / lower[i][i];
  }
  Row result = {};
  for (size_t i = size; i-- > 0;) {
    double value = y[i];
    for (size_t k = i + 1; k < size; ++k) value -= lower[k][i] * result[terms[k]];
    result[terms[i]] = value / lower[i][i];
  }
  return result;
}

/// Exact non-negative least squares: of all sets of terms whose solution is not negative, the one
/// with the smallest error. Five terms have 31 sets, so no iteration is needed.
Row solve_non_negative(const Normal& n, unsigned allowed) {
  Row best = {};
  double best_gain = 0;
  for (unsigned set = 1; set < 1u << kStepTerms; ++set) {
    if ((set & ~allowed) != 0) continue;
    const std::optional<Row> row = solve(n, set);
    if (!row || std::any_of(row->begin(), row->end(), [](double c) { return c < 0; })) continue;
    const double gain = dot(*row, n.moment);  // how much the squared error sinks
    if (gain > best_gain) {
      best_gain = gain;
      best = *row;
    }
  }
  return best;
}

/// The terms that earlier ones do not already explain.
unsigned identified(const Normal& n) {
  unsigned set = 0;
  for (size_t i = 0; i < kStepTerms; ++i) {
    if (n.gram[i][i] > 0 && solve(n, set | 1u << i)) set |= 1u << i;
  }
  return set;
}

Row fit_rows(const Problem& p, unsigned allowed) {
  std::vector<double> weights(p.rows.size(), 1.0);
  const double finest = kFinest * quantile(p.times, 0.5);
  Row fit = {};
  for (int round = 0; round < kReweightings; ++round) {
    fit = solve_non_negative(normal_equations(p, weights), allowed);
    std::vector<double> distances;
    for (size_t s = 0; s < p.rows.size(); ++s) {
      distances.push_back(std::abs(p.times[s] - dot(fit, p.rows[s])));
    }
    const double sigma = std::max(finest, 1.4826 * quantile(distances, 0.5));  // as of a normal
    if (!(sigma > 0)) break;
    for (size_t s = 0; s < p.rows.size(); ++s) {
      weights[s] = distances[s] <= kHuber * sigma ? 1.0 : kHuber * sigma / distances[s];
    }
  }
  double measured = 0;
  double predicted = 0;
  for (size_t s = 0; s < p.rows.size(); ++s) {
    measured += p.times[s];
    predicted += dot(fit, p.rows[s]);
  }
  for (double& c : fit) c *= predicted > 0 ? measured / predicted : 1.0;
  return fit;
}

void judge_held_out(const Problem& p, unsigned allowed, StepTimeFit& result) {
  std::vector<double> errors;
  double measured = 0;
  double predicted = 0;
  for (size_t fold = 0; fold < kFolds; ++fold) {
    Problem seen;
    for (size_t s = 0; s < p.rows.size(); ++s) {
      if (s % kFolds == fold) continue;
      seen.rows.push_back(p.rows[s]);
      seen.times.push_back(p.times[s]);
    }
    const Row fit = fit_rows(seen, allowed);
    for (size_t s = fold; s < p.rows.size(); s += kFolds) {
      const double time = dot(fit, p.rows[s]);
      measured += p.times[s];
      predicted += time;
      if (p.times[s] > 0) errors.push_back(std::abs(time - p.times[s]) / p.times[s]);
    }
  }
  result.held_out_total_error = measured > 0 ? predicted / measured - 1 : 0;
  result.held_out_median_error = errors.empty() ? 0 : quantile(errors, 0.5);
}

class FittedStepTime final : public StepTimeModel {
 public:
  explicit FittedStepTime(const StepTimeFit& fit) : fit_(fit) {}
  int64_t duration_ns(const StepFeatures& features, RandomStream&) const override {
    const double ns = dot(fit_.ns, row_of(features));
    return ns < kLongest ? std::max<int64_t>(1, std::llround(ns)) : INT64_MAX;
  }
  Validity validity() const override { return fit_.validity; }
  std::string describe() const override {
    std::string text = "fitted:";
    for (size_t i = 0; i < kStepTerms; ++i) {
      if (fit_.ns[i] == 0) continue;
      text += (text.back() == ':' ? " " : " + ") + format_fixed(fit_.ns[i] / 1000, 3) + " us per " +
              kStepTermNames[i];
    }
    return text;
  }

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
  Problem problem;
  Row scale = {};
  for (const StepSample& sample : samples) {
    problem.rows.push_back(row_of(sample.features));
    problem.times.push_back(static_cast<double>(sample.duration_ns));
    for (size_t i = 0; i < kStepTerms; ++i) {
      scale[i] += problem.rows.back()[i] * problem.rows.back()[i];
    }
  }
  for (double& s : scale) s = s > 0 ? std::sqrt(s / static_cast<double>(samples.size())) : 1.0;
  for (Row& row : problem.rows) {
    for (size_t i = 0; i < kStepTerms; ++i) row[i] /= scale[i];
  }
  const std::vector<double> equal(samples.size(), 1.0);
  const unsigned allowed = identified(normal_equations(problem, equal));
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
    fit.ns[i] /= scale[i];
    if ((allowed >> i & 1) == 0) fit.unidentified.emplace_back(kStepTermNames[i]);
  }
  judge_held_out(problem, allowed, fit);
  return fit;
}

std::unique_ptr<StepTimeModel> make_fitted_step_time(const StepTimeFit& fit) {
  return std::make_unique<FittedStepTime>(fit);
}

}  // namespace touchstone::simulator
