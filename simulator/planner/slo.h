// What a fleet must keep: limits of latency quantiles, and the share of requests that keep all of
// them (goodput). Values; thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace touchstone::simulator {

enum class Phase { kTtft, kTpot, kE2e };
const char* to_string(Phase phase);  // "ttft", "tpot", "e2e"

struct Slo {
  Phase phase = Phase::kTtft;
  double quantile = 0.95;
  double limit_s = 0;
};
/// "ttft p95"
std::string name_of(const Slo& slo);

struct Slos {
  std::vector<Slo> limits;
  /// Requests that keep every limit, each one taken for the request itself, of all that were sent.
  std::optional<double> goodput;
};

/// "ttft:p95:1s", "e2e:p99.9:30s". ERRORS: kInvalidArgument.
Result<Slo> parse_slo(const std::string& text);

/// What one request took; nullopt: it never got there (tpot: it had one token).
struct RequestTimes {
  std::optional<double> ttft_s;
  std::optional<double> tpot_s;
  std::optional<double> e2e_s;
};

/// How the limits were kept, in their order.
struct Attainment {
  struct Row {
    double value_s = 0;  ///< the quantile; infinite when too few requests were served
    bool kept = false;
  };
  std::vector<Row> rows;
  double goodput = 0;
  bool goodput_kept = true;

  bool all_kept() const;
  /// The limit that is broken worst, by its value over the limit; nullopt when none is. An index
  /// into rows, rows.size() for goodput.
  std::optional<size_t> worst(const Slos& slos) const;
};

/// A request that was not served (no e2e) counts as endless. REQUIRES: requests is not empty.
Attainment attain(const Slos& slos, const std::vector<RequestTimes>& requests);

}  // namespace touchstone::simulator
