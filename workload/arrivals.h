// Arrival processes: when the next one comes. Equal options and seeds give equal times on every
// machine. Thread-compatible.
#pragma once

#include <cstdint>

#include "base/random.h"
#include "base/result.h"

namespace touchstone::workload {

struct ArrivalOptions {
  enum class Process {
    kConstant,  ///< every 1/rate seconds
    kPoisson,   ///< exponential gaps
    kGamma,     ///< gaps with the given coefficient of variation: 1 is Poisson, above is bursty
    kMarkov,    ///< Poisson of two rates, calm and burst, that change by chance (MMPP)
    kDiurnal,   ///< Poisson whose rate swings once a period, lowest at the start
  };
  Process process = Process::kPoisson;
  double rate_per_s = 1;     ///< on average over a long time
  double gap_variation = 1;  ///< standard deviation of the gaps over their mean; kGamma only
  double burst_factor = 5;   ///< kMarkov: rate in a burst over the rate when calm
  double burst_share = 0.1;  ///< kMarkov: of the time
  int64_t burst_ns = 30'000'000'000;       ///< kMarkov: mean length of a burst
  double swing = 0.8;                      ///< kDiurnal: (highest rate - mean) / mean, 0 to 1
  int64_t period_ns = 86'400'000'000'000;  ///< kDiurnal
};

/// ERRORS: kInvalidArgument naming the option.
Status validate(const ArrivalOptions& options);

class ArrivalProcess final {
 public:
  /// REQUIRES: validate(options).
  ArrivalProcess(const ArrivalOptions& options, uint64_t seed);
  /// The next arrival; never goes back, INT64_MAX when it would be later than that.
  int64_t next_ns();

 private:
  double next_gap_ns();
  double markov_gap_ns();
  double diurnal_gap_ns();
  /// Of the highest rate, at a time from the start.
  double share_of_peak(double time_ns) const;

  const ArrivalOptions options_;
  RandomStream gaps_;
  int64_t now_ns_ = 0;
  bool in_burst_ = false;
  double state_left_ns_ = 0;  // kMarkov: until it may change
};

}  // namespace touchstone::workload
