#include "simulator/calibrate/learn.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/statistics.h"
#include "base/text.h"
#include "simulator/calibrate/frontend_fit.h"
#include "simulator/calibrate/noise_fit.h"
#include "simulator/steptime/terms_shape.h"

namespace touchstone::simulator {
namespace {

constexpr double kNsPerS = 1e9;
constexpr size_t kFewestRequests = 20;
/// Fewer requests than this anchor a server process badly.
constexpr size_t kAnchorRequests = 50;

/// Rows of marks are tried over so many steps at least.
constexpr std::array<size_t, 3> kStepsOfRow = {1, 8, 40};

/// A step costs at least this share of what steps take on average.
constexpr double kLeastStep = 0.01;
/// More than any misfit between fits worth a choice.
constexpr double kFreeStep = 1e3;

/// What load tells a term, in words.
constexpr std::array<const char*, kStepTerms> kMissingLoad = {
    "requests one at a time, with pauses", "prompts of several lengths, some of hundreds of tokens",
    "several rates: from one request at a time to a full batch",
    "longer prompts and outputs, so that contexts differ", "longer prompts: thousands of tokens"};

size_t usable_requests(std::span<const FitLoad> loads) {
  size_t usable = 0;
  for (const FitLoad& fit : loads) {
    for (size_t i = 0; i < fit.requests; ++i) {
      const MeasuredTimes& times = fit.load->requests[i].times;
      usable += times.prefill_s && times.decode_s ? 1 : 0;
    }
    if (!fit.load->steps.empty()) usable += fit.load->steps.size();
  }
  return usable;
}

/// Costs before anything was simulated: the fastest decoding takes a step a token, prompts take
/// their time alone.
std::vector<double> first_guess(std::span<const FitLoad> loads) {
  std::vector<double> tpot_ns;
  std::vector<double> token_ns;
  for (const FitLoad& fit : loads) {
    for (size_t i = 0; i < fit.requests; ++i) {
      const MeasuredRequest& request = fit.load->requests[i];
      if (request.times.tpot_s) tpot_ns.push_back(*request.times.tpot_s * kNsPerS);
      if (!request.times.prefill_s) continue;
      token_ns.push_back(*request.times.prefill_s * kNsPerS /
                         static_cast<double>(request.request.prompt_tokens));
    }
    for (const StepSample& step : fit.load->steps) {
      tpot_ns.push_back(static_cast<double>(step.duration_ns));
    }
  }
  std::vector<double> guess(kStepTerms, 0.0);
  guess[0] = tpot_ns.empty() ? 1e6 : std::max(1.0, quantile(tpot_ns, 0.02));
  guess[1] = token_ns.empty() ? guess[0] / 100 : quantile(token_ns, 0.1);
  return guess;
}

Status check_identified(unsigned identified, std::vector<std::string>& unidentified) {
  constexpr unsigned kNeeded = 0b00111;  // step, prefill token, decode request
  for (size_t i = 0; i < kStepTerms; ++i) {
    if ((identified >> i & 1) != 0) continue;
    if ((kNeeded >> i & 1) != 0) {
      return invalid_argument(std::string("the runs do not tell what a ") + kStepTermNames[i] +
                                  " costs apart from the other work",
                              std::string("add a run with ") + kMissingLoad[i]);
    }
    unidentified.emplace_back(kStepTermNames[i]);
  }
  return {};
}

/// Nine tenths of the steps had more than half of the most decode requests.
bool never_light(std::span<const SimulatedLoad> trials) {
  std::vector<double> requests;
  for (const SimulatedLoad& trial : trials) {
    for (const SimulatedStep& step : trial.steps) {
      requests.push_back(static_cast<double>(step.features.decode_requests));
    }
  }
  return quantile(requests, 0.1) > 0.5 * quantile(requests, 1);
}

Validity range_of(std::span<const SimulatedLoad> trials) {
  Validity range;
  bool first = true;
  for (const SimulatedLoad& trial : trials) {
    for (const SimulatedStep& step : trial.steps) {
      if (first) range.low = range.high = step.features;
      range.include(step.features);
      first = false;
    }
  }
  range.low.step = 0;
  range.high.step = INT64_MAX;
  return range;
}

StepTerms terms_of(const std::vector<double>& costs_ns) {
  StepTerms terms = {};
  std::copy(costs_ns.begin(), costs_ns.end(), terms.begin());
  return terms;
}

FitProblem problem_of_terms(std::span<const FitLoad> loads, const FrontendLatency& frontend,
                            const std::vector<double>* start) {
  return {.columns =
              [](const StepFeatures& features) {
                const StepTerms terms = step_terms(features);
                return std::vector<double>(terms.begin(), terms.end());
              },
          .model =
              [frontend](const std::vector<double>& costs) {
                return make_learned_step_time(
                    {.shape = make_terms_shape(terms_of(costs), {}), .frontend = frontend});
              },
          .start = start != nullptr ? *start : first_guess(loads)};
}

FitProblem problem_of_anchor(const std::shared_ptr<const StepShape>& shape,
                             const FrontendLatency& frontend, const std::vector<double>* start) {
  return {.columns =
              [shape](const StepFeatures& features) {
                const StepParts parts = shape->parts_ns(features);
                return std::vector<double>{parts.decode_ns, parts.prefill_ns};
              },
          .model =
              [shape, frontend](const std::vector<double>& scales) {
                return make_learned_step_time(
                    {.shape = shape, .anchor = {scales[0], scales[1], true}, .frontend = frontend});
              },
          .start = start != nullptr ? *start : std::vector<double>{1, 1}};
}

/// How far a fit is off; a step that costs nothing is no model of a server, however well it fits a
/// load that never was light.
double badness(std::span<const FitLoad> loads, const Fit& fit, bool has_terms) {
  int64_t busy_ns = 0;
  size_t steps = 0;
  for (const SimulatedLoad& trial : fit.trials) {
    for (const SimulatedStep& step : trial.steps) busy_ns += step.end_ns - step.start_ns;
    steps += trial.steps.size();
  }
  const double mean_ns = static_cast<double>(busy_ns) / static_cast<double>(steps);
  const bool free_step = has_terms && fit.costs_ns[0] < kLeastStep * mean_ns;
  return misfit(loads, fit) + (free_step ? kFreeStep : 0);
}

/// Makes the problem for a start (null: the first guess).
using Problems = std::function<FitProblem(const std::vector<double>* start)>;

/// By times of requests first, then by marks from there: the one that fits best.
Result<Fit> best_fit(std::span<const FitLoad> loads, const Problems& problem, bool has_terms) {
  auto best = fit_costs(loads, problem(nullptr));
  if (!best) return best;
  double least = badness(loads, *best, has_terms);
  const std::vector<double> start = best->costs_ns;
  for (const size_t steps : kStepsOfRow) {
    FitProblem finer = problem(&start);
    finer.rows = Rows::kMarks;
    finer.steps_of_row = steps;
    auto fit = fit_costs(loads, finer);
    if (!fit) continue;  // there are no such rows
    const double off = badness(loads, *fit, has_terms);
    if (off >= least) continue;
    least = off;
    best = std::move(fit);
  }
  return best;
}

/// The costs, and the frontend beside them.
Result<Fit> fit_with_frontend(std::span<const FitLoad> loads, const ModelFile* base,
                              FrontendLatency& frontend) {
  const std::shared_ptr<const StepShape> shape = base == nullptr ? nullptr : shape_of(*base);
  const Problems problem = [&](const std::vector<double>* start) {
    return shape ? problem_of_anchor(shape, frontend, start)
                 : problem_of_terms(loads, frontend, start);
  };
  frontend = {};
  auto best = best_fit(loads, problem, shape == nullptr);
  if (!best) return best;
  frontend = fit_frontend(loads, best->trials);
  if (frontend.is_zero()) return best;
  // With the frontend the trials change a little; the costs stay.
  const std::unique_ptr<StepTimeModel> model = problem(nullptr).model(best->costs_ns);
  best->trials.clear();
  for (const FitLoad& load : loads) {
    auto trial = simulate_load(*load.load, load.load->config, *model, 0);
    if (!trial) return std::move(trial).error();
    best->trials.push_back(std::move(*trial));
  }
  return best;
}

}  // namespace

Result<Learned> learn(std::span<const FitLoad> loads, const ModelFile* base) {
  const size_t usable = usable_requests(loads);
  if (usable < kFewestRequests) {
    return invalid_argument("got " + std::to_string(usable) +
                                " requests with the times of their prefill and decode, expected " +
                                std::to_string(kFewestRequests) + " or more",
                            "calibrate on a longer run, or on several");
  }
  Learned learned;
  auto fit = fit_with_frontend(loads, base, learned.file.frontend);
  if (!fit) return std::move(fit).error();
  if (base != nullptr) {
    learned.file.shape = base->shape;
    learned.file.validity = base->validity;
    learned.file.unidentified = base->unidentified;
    learned.file.anchor = {fit->costs_ns[0], fit->costs_ns[1], true};
    if (fit->costs_ns[1] == 0) learned.file.anchor.prefill = fit->costs_ns[0];
    if (usable < kAnchorRequests) {
      learned.file.notes.push_back("anchored by " + std::to_string(usable) +
                                   " requests: with fewer than " + std::to_string(kAnchorRequests) +
                                   " it is coarse");
    }
  } else {
    RETURN_IF_ERROR(check_identified(fit->identified, learned.file.unidentified));
    learned.file.shape = terms_of(fit->costs_ns);
    learned.file.anchor = {.decode = 1, .prefill = 1, .fitted = loads.size() == 1};
    learned.file.validity = range_of(fit->trials);
  }
  if (base == nullptr && never_light(fit->trials)) {
    learned.file.notes.emplace_back(
        "the runs were never lightly loaded: what a light load takes is extrapolated; add a run "
        "with few requests at a time");
  }
  if (!fit->settled) {
    learned.file.notes.emplace_back("the costs did not settle: the last round still changed them");
  }
  learned.file.noise = fit_noise(loads, fit->trials, *make_step_time(learned.file));
  learned.trials = std::move(fit->trials);
  learned.rounds = fit->rounds;
  learned.settled = fit->settled;
  return learned;
}

}  // namespace touchstone::simulator
