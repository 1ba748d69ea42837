#include "harness/bench/bench_compare.h"

#include <algorithm>

#include "base/bootstrap.h"
#include "base/statistics.h"
#include "base/text.h"

namespace touchstone::harness {
namespace {

using records::BenchRun;
using records::BenchSeries;
using result::Comparison;

const BenchSeries* find(const BenchRun& run, const std::string& name) {
  const auto found = std::find_if(run.series.begin(), run.series.end(),
                                  [&](const BenchSeries& one) { return one.name == name; });
  return found == run.series.end() ? nullptr : &*found;
}

Comparison compare_series(const BenchSeries& base, const BenchSeries& value, bool one_session,
                          const BenchCompareOptions& options) {
  Comparison row;
  row.name = base.name;
  row.unit = base.unit;
  row.better = base.higher_is_better ? Comparison::Better::kHigher : Comparison::Better::kLower;
  row.baseline = quantile(base.samples, 0.5);
  row.value = quantile(value.samples, 0.5);
  const bool paired = one_session && base.samples.size() == value.samples.size();
  const auto ratio = median_ratio(base.samples, value.samples, paired, options.confidence);
  if (!ratio) return row;  // too few: unknown
  row.interval = result::Interval{
      .low = ratio->low - 1, .high = ratio->high - 1, .confidence = options.confidence};
  row = result::compare(std::move(row), options.effect_min);
  row.difference = ratio->ratio - 1;  // of pairs: nearer than that of the medians
  return row;
}

result::Finding finding_of(const Comparison& row, const std::string& base_name) {
  const auto percent = [](double share) {
    return (share < 0 ? "" : "+") + format_fixed(share * 100, 1) + " %";
  };
  result::Finding finding;
  finding.check_id = "bench.no_regression";
  finding.signal = "figure";
  finding.subject = row.name;
  finding.message = row.name + " is worse than in " + base_name + ": " +
                    percent(row.difference.value_or(0)) + ", with " +
                    format_fixed(row.interval->confidence * 100, 0) + " % confidence between " +
                    percent(row.interval->low) + " and " + percent(row.interval->high);
  finding.expected = format_double(row.baseline) + " " + row.unit;
  finding.actual = format_double(row.value) + " " + row.unit;
  return finding;
}

/// Facts that differ: figures of different machines say little.
void note_facts(const BenchRun& base, const BenchRun& value, result::Report& report) {
  for (const char* fact : {"cpu", "cores", "kernel"}) {
    const auto a = base.facts.find(fact), b = value.facts.find(fact);
    if (a == base.facts.end() || b == value.facts.end() || a->second == b->second) continue;
    report.notes.push_back(std::string(fact) + " differs: " + a->second + " and " + b->second);
  }
}

}  // namespace

result::Report compare_bench_runs(const BenchRun& base, const BenchRun& value,
                                  const std::string& base_name, const std::string& new_name,
                                  const BenchCompareOptions& options) {
  result::Report report;
  report.title = "bench compare " + base_name + " " + new_name;
  const bool one_session = !base.session.empty() && base.session == value.session;
  result::ComparisonTable table;
  table.title = "Figures";
  table.baseline = base_name;
  table.value = new_name;
  result::CheckOutcome check;
  check.id = "bench.no_regression";
  check.title = "No figure is worse than the baseline's";
  check.group = "bench";
  check.source = "median ratio, " + format_fixed(options.confidence * 100, 0) +
                 " % bootstrap interval beyond " + format_fixed(options.effect_min * 100, 1) + " %";
  int64_t undecided = 0;
  for (const BenchSeries& series : base.series) {
    const BenchSeries* other = find(value, series.name);
    if (other == nullptr) {
      report.notes.push_back("only in " + base_name + ": " + series.name);
      continue;
    }
    if (series.samples.empty() || other->samples.empty()) continue;
    Comparison row = compare_series(series, *other, one_session, options);
    ++check.examined;
    undecided += row.change == Comparison::Change::kUnknown;
    if (row.change == Comparison::Change::kWorse) {
      check.findings.push_back(finding_of(row, base_name));
    }
    table.rows.push_back(std::move(row));
  }
  for (const BenchSeries& series : value.series) {
    if (find(base, series.name) == nullptr) {
      report.notes.push_back("only in " + new_name + ": " + series.name);
    }
  }
  table.notes.push_back(one_session ? "measured in turns: repeats are compared in pairs"
                                    : "measured apart: what slowed one alone is not told apart");
  check.verdict = check.findings.empty() ? result::Verdict::kPass : result::Verdict::kFail;
  if (check.findings.empty() && undecided == check.examined) {
    check.verdict = result::Verdict::kUnknown;
    check.reason = check.examined == 0
                       ? "the two have no figure in common"
                       : "no figure has enough repeats for its noise; more repeats decide";
  }
  report.summary = format_count(check.examined) +
                   " figures: " + format_count(static_cast<int64_t>(check.findings.size())) +
                   " worse, " + format_count(undecided) + " undecided";
  note_facts(base, value, report);
  report.comparisons.push_back(std::move(table));
  report.checks.push_back(std::move(check));
  result::decide(report, result::Level::kMust);
  return report;
}

}  // namespace touchstone::harness
