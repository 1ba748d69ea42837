// Two sets of figures, judged: better, same, worse or unknown, each with its interval. Pure;
// thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "records/bench_run.h"
#include "result/result_model.h"

namespace touchstone::harness {

struct BenchCompareOptions {
  double effect_min = 0.02;  ///< a smaller relative difference does not matter
  double confidence = 0.95;
};

/// A comparison table, one check (`bench.no_regression`) with a finding for each figure that is
/// worse, notes on what stands in one of the two alone or has too few repeats. Runs of one session
/// are compared pair by pair. Nothing in common: the check is unknown. `base_name` and `new_name`
/// head the columns.
result::Report compare_bench_runs(const records::BenchRun& base, const records::BenchRun& value,
                                  const std::string& base_name, const std::string& new_name,
                                  const BenchCompareOptions& options);

}  // namespace touchstone::harness
