#include "simulator/calibrate/learn.h"

#include <algorithm>
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

Validity range_of(std::span<const Trial> trials) {
  Validity range;
  bool first = true;
  for (const Trial& trial : trials) {
    for (const TrialStep& step : trial.steps) {
      if (first) range.low = range.high = step.features;
      range.include(step.features);
      first = false;
    }
  }
  range.low.step = 0;
  range.high.step = INT64_MAX;
  return range;
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
                StepTerms ns = {};
                std::copy(costs.begin(), costs.end(), ns.begin());
                return make_learned_step_time(
                    {.shape = make_terms_shape(ns, {}), .frontend = frontend});
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

/// The costs, then the frontend beside them, then the costs again with it.
Result<Fit> fit_with_frontend(std::span<const FitLoad> loads, const ModelFile* base,
                              FrontendLatency& frontend) {
  const std::shared_ptr<const StepShape> shape = base == nullptr ? nullptr : shape_of(*base);
  const auto problem = [&](const std::vector<double>* start) {
    return shape ? problem_of_anchor(shape, frontend, start)
                 : problem_of_terms(loads, frontend, start);
  };
  frontend = {};
  auto alone = fit_costs(loads, problem(nullptr));
  if (!alone) return alone;
  frontend = fit_frontend(loads, alone->trials);
  if (frontend.is_zero()) return alone;
  return fit_costs(loads, problem(&alone->costs_ns));
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
    StepTerms ns = {};
    std::copy(fit->costs_ns.begin(), fit->costs_ns.end(), ns.begin());
    learned.file.shape = ns;
    learned.file.anchor = {.decode = 1, .prefill = 1, .fitted = loads.size() == 1};
    learned.file.validity = range_of(fit->trials);
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
