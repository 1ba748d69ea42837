#include "simulator/calibrate/judge.h"

#include "base/statistics.h"

namespace touchstone::simulator {
namespace {

constexpr double kShortTtftS = 1.0;
constexpr size_t kFewestShort = 30;

struct Pairs {
  std::vector<double> measured;
  std::vector<double> simulated;

  void add(double m, double s) {
    measured.push_back(m);
    simulated.push_back(s);
  }
};

double error(double measured, double simulated) {
  return measured > 0 ? simulated / measured - 1 : 0;
}

std::optional<LatencyError> error_of(const Pairs& pairs) {
  if (pairs.measured.empty()) return std::nullopt;
  LatencyError e{.measured_mean_s = mean(pairs.measured),
                 .simulated_mean_s = mean(pairs.simulated)};
  e.mean = error(e.measured_mean_s, e.simulated_mean_s);
  e.p50 = error(quantile(pairs.measured, 0.5), quantile(pairs.simulated, 0.5));
  e.p95 = error(quantile(pairs.measured, 0.95), quantile(pairs.simulated, 0.95));
  return e;
}

}  // namespace

Errors judge(const MeasuredLoad& load, const SimulatedLoad& trial, size_t from) {
  Errors errors;
  Pairs ttft;
  Pairs tpot;
  Pairs e2e;
  Pairs short_ttft;
  for (size_t i = from; i < load.requests.size(); ++i) {
    const MeasuredTimes& measured = load.requests[i].times;
    const SimulatedTimes& simulated = trial.requests[i];
    if (!measured.e2e_s || !simulated.completed) continue;
    ++errors.requests;
    e2e.add(*measured.e2e_s, simulated.e2e_s());
    if (measured.tpot_s && simulated.output_tokens > 1) {
      tpot.add(*measured.tpot_s, simulated.tpot_s());
    }
    if (!measured.ttft_s) continue;
    ttft.add(*measured.ttft_s, simulated.ttft_s());
    if (*measured.ttft_s < kShortTtftS) short_ttft.add(*measured.ttft_s, simulated.ttft_s());
  }
  errors.ttft = error_of(ttft);
  errors.tpot = error_of(tpot);
  errors.e2e = error_of(e2e);
  if (short_ttft.measured.size() >= kFewestShort) errors.short_ttft = error_of(short_ttft);
  return errors;
}

}  // namespace touchstone::simulator
