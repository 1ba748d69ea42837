// Figures of a benchmark, repeat by repeat, and what they were measured with: bench.json. What
// Google Benchmark (--benchmark_format=json) and `vllm bench serve --save-result` write is read
// too. Values; thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace touchstone::records {

inline constexpr int64_t kBenchRunVersion = 1;

/// One figure; equal names in two runs are compared.
struct BenchSeries {
  std::string name;  ///< "serve/ttft p50"
  std::string unit;  ///< "s", "tokens/s"
  bool higher_is_better = false;
  std::vector<double> samples;  ///< by repeat
};

struct BenchRun {
  int64_t version = kBenchRunVersion;
  std::string subject;
  /// Runs of one session were measured in turns: their repeats are pairs. Empty: of none.
  std::string session;
  std::map<std::string, std::string> facts;  ///< "cpu", "tool", "started": of machine and run
  std::vector<BenchSeries> series;
};

std::string to_json(const BenchRun& run);
/// ERRORS: kNotFound, kMalformed, kInvalidArgument `file: key: got, expected`.
Result<BenchRun> read_bench_run(const std::string& path);
/// Of a Google Benchmark's output; `where` for messages.
Result<std::vector<BenchSeries>> read_google_benchmark(const std::string& where,
                                                       const std::string& text);
/// Adds the samples of each series of `more` to that of its name, or the series.
void add_series(const std::vector<BenchSeries>& more, std::vector<BenchSeries>& series);

}  // namespace touchstone::records
