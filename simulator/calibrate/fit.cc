#include "simulator/calibrate/fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "base/statistics.h"
#include "simulator/calibrate/marks.h"
#include "simulator/steptime/least_squares.h"

namespace touchstone::simulator {
namespace {

constexpr int kMostRounds = 25;
// How far a round goes towards its solution: less than 1, because the schedule follows the costs.
constexpr double kStride = 0.65;
constexpr double kSettled = 2e-4;
// A request's time is not known better than this share of it.
constexpr double kFinest = 1e-3;
constexpr double kNsPerS = 1e9;
// Clocks of different processes, and of different lines of one program, agree this well.
constexpr double kClockNs = 0.5e6;

/// A time that was measured and the work that was done in it. Errors of longer times are larger,
/// as a sum's over many steps: the weight is that of a variance proportional to the time.
void add_row(LeastSquares& rows, std::vector<double> work, double time_ns) {
  if (time_ns > 0) rows.add(std::move(work), time_ns, 1 / (time_ns + kClockNs));
}

void add_marks(const FitLoad& fit, const SimulatedLoad& trial, const FitProblem& problem,
               LeastSquares& rows) {
  const WorkLine work(trial.steps, problem.columns);
  for (const MarkedInterval& i : marked_intervals(fit, trial, problem.steps_of_row)) {
    add_row(rows, work.between(i.simulated_from_ns, i.simulated_to_ns), i.measured_ns);
  }
}

void add_requests(const FitLoad& fit, const SimulatedLoad& trial, const FitProblem& problem,
                  LeastSquares& rows) {
  const WorkLine work(trial.steps, problem.columns);
  for (size_t i = 0; i < fit.requests; ++i) {
    const MeasuredTimes& measured = fit.load->requests[i].times;
    const SimulatedTimes& simulated = trial.requests[i];
    if (!simulated.completed) continue;
    if (measured.prefill_s) {
      add_row(rows, work.between(simulated.scheduled_ns, simulated.first_token_ns),
              *measured.prefill_s * kNsPerS);
    }
    if (measured.decode_s && simulated.output_tokens > 1) {
      add_row(rows, work.between(simulated.first_token_ns, simulated.last_token_ns),
              *measured.decode_s * kNsPerS);
    }
  }
}

void add_steps(const FitLoad& fit, const WorkLine::Columns& columns, LeastSquares& rows) {
  const std::vector<StepSample>& steps = fit.load->steps;
  const size_t used = steps.size() * fit.requests / fit.load->requests.size();
  for (size_t i = 0; i < used; ++i) {
    add_row(rows, columns(steps[i].features), static_cast<double>(steps[i].duration_ns));
  }
}

double finest(const LeastSquares& rows) {
  double sum = 0;  // of errors in units of their standard deviation
  for (const double time_ns : rows.values) sum += kFinest * std::sqrt(time_ns);
  return sum / static_cast<double>(rows.values.size());
}

/// The rows of all loads with the work of `trials`.
LeastSquares rows_of(std::span<const FitLoad> loads, const FitProblem& problem,
                     const std::vector<SimulatedLoad>& trials) {
  LeastSquares rows;
  for (size_t i = 0; i < loads.size(); ++i) {
    if (loads[i].load->steps.empty()) {
      (problem.rows == Rows::kMarks ? add_marks : add_requests)(loads[i], trials[i], problem, rows);
    } else {
      add_steps(loads[i], problem.columns, rows);
    }
  }
  return rows;
}

Status simulate(std::span<const FitLoad> loads, const StepTimeModel& model,
                std::vector<SimulatedLoad>& trials) {
  trials.clear();
  for (const FitLoad& fit : loads) {
    auto trial = simulate_load(*fit.load, fit.load->config, model, 0);
    if (!trial) return std::move(trial).error().with_context(fit.load->path);
    trials.push_back(std::move(*trial));
  }
  return {};
}

/// Outliers count less for the shape, but all of the time was spent: scales to the measured total.
void keep_total(const LeastSquares& rows, std::vector<double>& solution) {
  double measured = 0;
  double predicted = 0;
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    measured += rows.values[i];
    predicted += std::inner_product(solution.begin(), solution.end(), rows.rows[i].begin(), 0.0);
  }
  for (double& cost : solution) cost *= measured / predicted;
}

/// Moves `costs` towards `solution`; result: the largest change, relative to the largest share
/// that a column has in the rows' time.
double move(const LeastSquares& rows, const std::vector<double>& solution,
            std::vector<double>& costs) {
  double change = 0;
  for (size_t j = 0; j < costs.size(); ++j) {
    double work = 0;
    double time = 0;
    for (size_t i = 0; i < rows.rows.size(); ++i) {
      work += rows.rows[i][j];
      time += rows.values[i];
    }
    const double step = kStride * (solution[j] - costs[j]);
    costs[j] += step;
    change = std::max(change, std::abs(step) * work / time);
  }
  return change;
}

/// |log(simulated / measured)| of each request and of the mean.
struct Distance {
  std::vector<double> each;
  double measured = 0;
  double simulated = 0;

  void add(const std::optional<double>& m, double s) {
    if (!m || !(*m > 0) || !(s > 0)) return;
    each.push_back(std::abs(std::log(s / *m)));
    measured += *m;
    simulated += s;
  }
  double value() const {
    return each.empty() ? 0 : mean(each) + std::abs(std::log(simulated / measured));
  }
};

}  // namespace

double misfit(std::span<const FitLoad> loads, const Fit& fit) {
  double sum = 0;
  for (size_t l = 0; l < loads.size(); ++l) {
    Distance ttft;
    Distance tpot;
    Distance e2e;
    for (size_t i = 0; i < loads[l].requests; ++i) {
      const MeasuredTimes& m = loads[l].load->requests[i].times;
      const SimulatedTimes& s = fit.trials[l].requests[i];
      if (!s.completed) continue;
      ttft.add(m.ttft_s, s.ttft_s());
      e2e.add(m.e2e_s, s.e2e_s());
      if (s.output_tokens > 1) tpot.add(m.tpot_s, s.tpot_s());
    }
    sum += ttft.value() + tpot.value() + e2e.value();
  }
  return sum;
}

Result<Fit> fit_costs(std::span<const FitLoad> loads, const FitProblem& problem) {
  Fit fit{.costs_ns = problem.start};
  RETURN_IF_ERROR(simulate(loads, *problem.model(fit.costs_ns), fit.trials));
  while (fit.rounds < kMostRounds && !fit.settled) {
    const LeastSquares rows = rows_of(loads, problem, fit.trials);
    if (rows.rows.empty()) {
      return invalid_argument(
          "got no request with the time of its prefill or decode, expected them",
          "vLLM's spans have them (gen_ai.latency.time_in_model_prefill)");
    }
    fit.identified = identified_columns(rows);
    auto solution = fit_non_negative(rows, fit.identified, {.finest = finest(rows)});
    if (!solution) {
      return invalid_argument(
          "got times that no work explains, expected longer ones for more work");
    }
    keep_total(rows, *solution);
    fit.settled = move(rows, *solution, fit.costs_ns) < kSettled;
    ++fit.rounds;
    RETURN_IF_ERROR(simulate(loads, *problem.model(fit.costs_ns), fit.trials));
  }
  return fit;
}

}  // namespace touchstone::simulator
