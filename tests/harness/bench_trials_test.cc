// How often `bench compare` is right, over noise of a real machine: TOUCHSTONE_BENCH_TRIALS trials
// of fixed seed.
#include <gtest/gtest.h>

#include "base/random.h"
#include "harness/bench/bench_compare.h"
#include "tests/support/paths.h"

namespace touchstone::harness {
namespace {

using records::BenchRun;
using result::Comparison;

BenchRun run_of(std::vector<double> samples) {
  BenchRun run;
  run.session = "one";
  run.series = {{"case/time", "s", false, std::move(samples)}};
  return run;
}

Comparison::Change change_of(const std::vector<double>& base, const std::vector<double>& value) {
  const auto report =
      compare_bench_runs(run_of(base), run_of(value), "base", "new", {.effect_min = 0.01});
  return report.comparisons[0].rows.at(0).change;
}

/// Repeats of one benchmark on a shared machine of two cores, in order: fixtures/bench/README.md.
std::vector<double> recorded_noise() {
  const auto run = records::read_bench_run(support::source_dir() + "/fixtures/bench/noise.json");
  EXPECT_TRUE(run) << run.error().message;
  return run->series.at(0).samples;
}

struct Rates {
  double called_different = 0;  ///< of trials where both are the same
  double found = 0;             ///< of trials where one is 5 % slower
};

/// Trials of `repeats` pairs, each a stretch of the recording dealt out in turns.
Rates rates_on_recorded_noise(size_t repeats) {
  const std::vector<double> noise = recorded_noise();
  EXPECT_GE(noise.size(), 4 * repeats);
  RandomStream random(7, "trials");
  constexpr int kTrials = TOUCHSTONE_BENCH_TRIALS;
  Rates rates;
  for (int trial = 0; trial < kTrials; ++trial) {
    const size_t from = random.below(noise.size() - 2 * repeats);
    std::vector<double> base, same, slower;
    for (size_t i = 0; i < repeats; ++i) {
      const size_t first = random.below(2);
      base.push_back(noise[from + 2 * i + first]);
      same.push_back(noise[from + 2 * i + 1 - first]);
      slower.push_back(same.back() * 1.05);
    }
    const auto alike = change_of(base, same);
    rates.called_different +=
        alike == Comparison::Change::kWorse || alike == Comparison::Change::kBetter;
    rates.found += change_of(base, slower) == Comparison::Change::kWorse;
  }
  rates.called_different /= kTrials;
  rates.found /= kTrials;
  return rates;
}

TEST(BenchTrials, WithTwentyRepeatsEqualsAreSeldomCalledDifferentAndALossOf5PercentIsFound) {
  const Rates rates = rates_on_recorded_noise(20);
  EXPECT_LE(rates.called_different, 0.05);
  EXPECT_GE(rates.found, 0.95);
  RecordProperty("called_different", std::to_string(rates.called_different));
  RecordProperty("found", std::to_string(rates.found));
}

}  // namespace
}  // namespace touchstone::harness
