#include "simulator/steptime/least_squares.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/statistics.h"

namespace touchstone::simulator {
namespace {

constexpr int kReweightings = 12;
// A column whose part outside the columns before it is smaller than this share is a combination of
// them.
constexpr double kCollinear = 1e-6;

/// Rows and values times the root of their weight; each column has root mean square 1.
struct Scaled {
  Eigen::MatrixXd rows;
  Eigen::VectorXd values;
  Eigen::VectorXd scale;  // of each column
};

Scaled scaled(const LeastSquares& p) {
  BASE_CHECK(!p.rows.empty() && p.rows.size() == p.values.size(), p.rows.size(), " rows");
  const auto count = static_cast<Eigen::Index>(p.rows.size());
  const auto columns = static_cast<Eigen::Index>(p.rows.front().size());
  BASE_CHECK(p.rows.front().size() <= kMostColumns, columns, " columns");
  Scaled s{Eigen::MatrixXd(count, columns), Eigen::VectorXd(count), Eigen::VectorXd(columns)};
  for (Eigen::Index i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i);
    const double root = p.weights.empty() ? 1.0 : std::sqrt(p.weights[at]);
    s.values[i] = root * p.values[at];
    for (Eigen::Index j = 0; j < columns; ++j) {
      s.rows(i, j) = root * p.rows[at][static_cast<size_t>(j)];
    }
  }
  for (Eigen::Index j = 0; j < columns; ++j) {
    const double size = s.rows.col(j).norm() / std::sqrt(static_cast<double>(count));
    s.scale[j] = size > 0 ? size : 1.0;
    s.rows.col(j) /= s.scale[j];
  }
  return s;
}

std::vector<Eigen::Index> columns_of(unsigned set) {
  std::vector<Eigen::Index> columns;
  for (size_t i = 0; i < kMostColumns; ++i) {
    if ((set >> i & 1) != 0) columns.push_back(static_cast<Eigen::Index>(i));
  }
  return columns;
}

struct Normal {
  Eigen::MatrixXd gram;
  Eigen::VectorXd moment;
};

Normal normal_equations(const Scaled& s, const Eigen::VectorXd& weights) {
  const Eigen::MatrixXd weighted = weights.asDiagonal() * s.rows;
  return {weighted.transpose() * s.rows, weighted.transpose() * s.values};
}

/// nullopt when the columns of `set` are collinear.
std::optional<Eigen::VectorXd> solve(const Normal& n, unsigned set) {
  const std::vector<Eigen::Index> columns = columns_of(set);
  const auto size = static_cast<Eigen::Index>(columns.size());
  Eigen::MatrixXd gram(size, size);
  Eigen::VectorXd moment(size);
  for (Eigen::Index i = 0; i < size; ++i) {
    moment[i] = n.moment[columns[static_cast<size_t>(i)]];
    for (Eigen::Index j = 0; j < size; ++j) {
      gram(i, j) = n.gram(columns[static_cast<size_t>(i)], columns[static_cast<size_t>(j)]);
    }
  }
  const Eigen::LLT<Eigen::MatrixXd> factor(gram);
  if (factor.info() != Eigen::Success) return std::nullopt;
  // The diagonal of L squared is what is left of a column beside those before it.
  const Eigen::VectorXd left = factor.matrixLLT().diagonal().array().square();
  for (Eigen::Index i = 0; i < size; ++i) {
    if (!(left[i] > kCollinear * gram(i, i))) return std::nullopt;
  }
  const Eigen::VectorXd solution = factor.solve(moment);
  Eigen::VectorXd full = Eigen::VectorXd::Zero(n.moment.size());
  for (Eigen::Index i = 0; i < size; ++i) full[columns[static_cast<size_t>(i)]] = solution[i];
  return full;
}

/// Of all sets of columns whose solution is not negative, the one with the smallest error.
Eigen::VectorXd solve_non_negative(const Normal& n, unsigned allowed) {
  Eigen::VectorXd best = Eigen::VectorXd::Zero(n.moment.size());
  double best_gain = 0;
  for (unsigned set = 1; set < 1u << n.moment.size(); ++set) {
    if ((set & ~allowed) != 0) continue;
    const std::optional<Eigen::VectorXd> found = solve(n, set);
    if (!found || found->minCoeff() < 0) continue;
    const double gain = found->dot(n.moment);  // how much the squared error sinks
    if (gain > best_gain) {
      best_gain = gain;
      best = *found;
    }
  }
  return best;
}

}  // namespace

void LeastSquares::add(std::vector<double> row, double value, double weight) {
  rows.push_back(std::move(row));
  values.push_back(value);
  weights.push_back(weight);
}

unsigned identified_columns(const LeastSquares& problem) {
  const Scaled s = scaled(problem);
  const Normal n = normal_equations(s, Eigen::VectorXd::Ones(s.values.size()));
  unsigned set = 0;
  for (unsigned i = 0; i < static_cast<unsigned>(s.scale.size()); ++i) {
    if (n.gram(i, i) > 0 && solve(n, set | 1u << i)) set |= 1u << i;
  }
  return set;
}

std::optional<std::vector<double>> fit_non_negative(const LeastSquares& problem, unsigned allowed,
                                                    const RobustOptions& options) {
  const Scaled s = scaled(problem);
  Eigen::VectorXd weights = Eigen::VectorXd::Ones(s.values.size());
  Eigen::VectorXd fit;
  for (int round = 0; round < kReweightings; ++round) {
    fit = solve_non_negative(normal_equations(s, weights), allowed);
    const Eigen::VectorXd errors = (s.values - s.rows * fit).cwiseAbs();
    const std::vector<double> distances(errors.begin(), errors.end());
    // 1.4826: the standard deviation of a normal from its median distance.
    const double sigma = std::max(options.finest, 1.4826 * quantile(distances, 0.5));
    if (!(sigma > 0)) break;
    for (Eigen::Index i = 0; i < errors.size(); ++i) {
      const double limit = options.huber * sigma;
      weights[i] = errors[i] <= limit ? 1.0 : limit / errors[i];
    }
  }
  if (!(fit.maxCoeff() > 0)) return std::nullopt;
  std::vector<double> coefficients;
  for (Eigen::Index j = 0; j < fit.size(); ++j) coefficients.push_back(fit[j] / s.scale[j]);
  return coefficients;
}

}  // namespace touchstone::simulator
