#include "workload/arrivals.h"

#include <cmath>
#include <string>

#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"

namespace touchstone::workload {
namespace {

Status within(const char* option, double got, double low, double high) {
  if (got >= low && got <= high) return {};
  return invalid_argument(std::string("generate: ") + option + ": got " + format_double(got) +
                          ", expected " + format_double(low) + " to " + format_double(high));
}

}  // namespace

Status validate(const ArrivalOptions& o) {
  if (!(o.rate_per_s > 0) || !std::isfinite(o.rate_per_s)) {
    return invalid_argument("generate: rate_per_s: got " + format_double(o.rate_per_s) +
                            ", expected more than 0");
  }
  if (!(o.gap_variation > 0) || !std::isfinite(o.gap_variation)) {
    return invalid_argument("generate: gap_variation: got " + format_double(o.gap_variation) +
                            ", expected more than 0");
  }
  RETURN_IF_ERROR(within("burst_factor", o.burst_factor, 1, 1e6));
  RETURN_IF_ERROR(within("burst_share", o.burst_share, 1e-6, 1 - 1e-6));
  RETURN_IF_ERROR(within("burst_ns", static_cast<double>(o.burst_ns), 1, 9e18));
  RETURN_IF_ERROR(within("swing", o.swing, 0, 1));
  RETURN_IF_ERROR(within("period_ns", static_cast<double>(o.period_ns), 1, 9e18));
  return {};
}

ArrivalProcess::ArrivalProcess(const ArrivalOptions& options, uint64_t seed)
    : options_(options), gaps_(seed, "workload arrivals") {
  BASE_CHECK(validate(options).has_value());
}

int64_t ArrivalProcess::next_ns() {
  const double gap_ns = next_gap_ns();
  constexpr double kLongest = 9e18;
  const int64_t rounded_ns = gap_ns < kLongest ? std::llround(gap_ns) : INT64_MAX;
  now_ns_ = rounded_ns > INT64_MAX - now_ns_ ? INT64_MAX : now_ns_ + rounded_ns;
  return now_ns_;
}

double ArrivalProcess::next_gap_ns() {
  const double mean_ns = static_cast<double>(kNsPerSecond) / options_.rate_per_s;
  switch (options_.process) {
    case ArrivalOptions::Process::kConstant:
      return mean_ns;
    case ArrivalOptions::Process::kPoisson:
      return gaps_.exponential(mean_ns);
    case ArrivalOptions::Process::kGamma: {
      const double variance = options_.gap_variation * options_.gap_variation;
      return gaps_.gamma(1 / variance, mean_ns * variance);
    }
    case ArrivalOptions::Process::kMarkov:
      return markov_gap_ns();
    case ArrivalOptions::Process::kDiurnal:
      return diurnal_gap_ns();
  }
  BASE_CHECK(false, static_cast<int>(options_.process));
}

/// Exponential gaps have no memory: one that outlasts the state is drawn again in the next.
double ArrivalProcess::markov_gap_ns() {
  const double share = options_.burst_share;
  const double calm_per_s = options_.rate_per_s / (1 - share + share * options_.burst_factor);
  const double burst_ns = static_cast<double>(options_.burst_ns);
  double waited_ns = 0;
  if (state_left_ns_ == 0) state_left_ns_ = gaps_.exponential(burst_ns * (1 - share) / share);
  for (;;) {
    const double rate_per_s = in_burst_ ? calm_per_s * options_.burst_factor : calm_per_s;
    const double gap_ns = gaps_.exponential(1e9 / rate_per_s);
    if (gap_ns < state_left_ns_) {
      state_left_ns_ -= gap_ns;
      return waited_ns + gap_ns;
    }
    waited_ns += state_left_ns_;
    in_burst_ = !in_burst_;
    state_left_ns_ = gaps_.exponential(in_burst_ ? burst_ns : burst_ns * (1 - share) / share);
  }
}

/// A Poisson process of the highest rate, thinned (Lewis and Shedler).
double ArrivalProcess::diurnal_gap_ns() {
  const double peak_gap_ns = 1e9 / (options_.rate_per_s * (1 + options_.swing));
  double waited_ns = 0;
  for (;;) {
    waited_ns += gaps_.exponential(peak_gap_ns);
    if (gaps_.uniform() < share_of_peak(static_cast<double>(now_ns_) + waited_ns)) return waited_ns;
  }
}

/// The sine is Bhaskara's, made of basic operations only: within 0.002, equal on every machine.
double ArrivalProcess::share_of_peak(double time_ns) const {
  const double turns = time_ns / static_cast<double>(options_.period_ns) + 0.75;
  const double phase = 2 * (turns - std::floor(turns));  // in half turns: 0 to 2
  const double x = phase < 1 ? phase : phase - 1;
  const double half_wave = 16 * x * (1 - x) / (5 - 4 * x * (1 - x));
  const double sine = phase < 1 ? half_wave : -half_wave;
  return (1 + options_.swing * sine) / (1 + options_.swing);
}

}  // namespace touchstone::workload
