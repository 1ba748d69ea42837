#include "simulator/compare_load.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/statistics.h"
#include "base/text.h"
#include "simulator/calibrate/judge.h"

namespace touchstone::simulator {
namespace {

/// A simulated time that lies so near its measured one is called the same.
constexpr double kAgreement = 0.05;
constexpr double kConfidence = 0.95;

/// A figure of each seed, by name.
using Draws = std::map<std::string, std::vector<double>>;

void draw(const char* latency, const std::optional<LatencyError>& error, Draws& draws) {
  if (!error) return;
  const std::string name(latency);
  draws[name + "_mean_error"].push_back(error->mean);
  draws[name + "_p50_error"].push_back(error->p50);
  draws[name + "_p95_error"].push_back(error->p95);
}

void draw(const Errors& errors, const SimulatedLoad& trial, Draws& draws) {
  draw("ttft", errors.ttft, draws);
  draw("tpot", errors.tpot, draws);
  draw("e2e", errors.e2e, draws);
  draw("ttft_below_1s", errors.short_ttft, draws);
  draws["steps"].push_back(static_cast<double>(trial.steps.size()));
  draws["preemptions"].push_back(static_cast<double>(trial.preemptions));
  draws["prefix_hit_tokens"].push_back(static_cast<double>(trial.prefix_hit_tokens));
  draws["peak_kv_blocks"].push_back(static_cast<double>(trial.peak_kv_blocks));
}

/// The middle, and where chance alone puts it, where there are draws enough.
result::Cell cell_of(const std::string& column, const std::vector<double>& draws) {
  result::Cell cell{.column = column, .value = mean(draws)};
  if (std::ssize(draws) >= kCompareSeeds) {
    cell.interval = result::Interval{.low = quantile(draws, (1 - kConfidence) / 2),
                                     .high = quantile(draws, (1 + kConfidence) / 2),
                                     .confidence = kConfidence};
  }
  return cell;
}

void add_errors(const Draws& draws, int64_t requests, size_t from, result::Report& report) {
  result::FigureTable table{.title = "Errors", .columns = {"error"}};
  for (const auto& [name, values] : draws) {
    if (!name.ends_with("_error")) continue;
    table.rows.push_back({.name = name, .unit = "ratio", .values = {cell_of("error", values)}});
    report.figures[name] = mean(values);
  }
  table.notes.push_back(format_count(requests) + " requests; simulated over measured - 1" +
                        (from > 0 ? "; the first " + format_count(static_cast<int64_t>(from)) +
                                        " by arrival were learned from and do not count"
                                  : ""));
  report.tables.push_back(std::move(table));
}

void add_counters(const MeasuredCounters& measured, const Draws& draws, result::Report& report) {
  result::FigureTable table{.title = "Measured beside simulated",
                            .columns = {"measured", "simulated"}};
  const auto row = [&](const char* name, const char* key, const char* unit,
                       const std::optional<double>& value) {
    result::Figure figure{.name = name, .unit = unit};
    if (value) {
      figure.values.push_back({"measured", *value});
      report.figures[std::string(key) + "_measured"] = *value;
    }
    figure.values.push_back(cell_of("simulated", draws.at(key)));
    report.figures[key] = mean(draws.at(key));
    table.rows.push_back(std::move(figure));
  };
  row("steps", "steps", "", measured.steps);
  row("preemptions", "preemptions", "", measured.preemptions);
  row("prefix-hit tokens", "prefix_hit_tokens", "tokens", measured.prefix_hit_tokens);
  row("peak KV blocks", "peak_kv_blocks", "blocks", measured.peak_kv_blocks);
  report.tables.push_back(std::move(table));
}

result::Series distribution(const char* name, std::vector<double> values) {
  result::Series series{.name = name, .x = std::move(values)};
  std::sort(series.x.begin(), series.x.end());
  for (size_t i = 0; i < series.x.size(); ++i) {
    series.y.push_back(static_cast<double>(i + 1) / static_cast<double>(series.x.size()));
  }
  return series;
}

result::Chart distributions(const char* latency, const std::vector<double>& measured,
                            const std::vector<double>& simulated) {
  return {.title = latency,
          .kind = result::Chart::Kind::kCdf,
          .x_label = "seconds",
          .y_label = "share of requests",
          .series = {distribution("measured", measured), distribution("simulated", simulated)}};
}

void add_latencies(const MeasuredLoad& load, const SimulatedLoad& trial, size_t from,
                   result::Report& report) {
  result::ComparisonTable table{
      .title = "Simulated, and what was measured", .baseline = "measured", .value = "simulated"};
  std::vector<double> measured[3];
  std::vector<double> simulated[3];
  const auto add = [&](int which, const std::optional<double>& m, double s) {
    if (!m) return;
    measured[which].push_back(*m);
    simulated[which].push_back(s);
  };
  for (size_t i = from; i < load.requests.size(); ++i) {
    const MeasuredTimes& m = load.requests[i].times;
    const SimulatedTimes& s = trial.requests[i];
    if (!m.e2e_s || !s.completed) continue;
    add(0, m.ttft_s, s.ttft_s());
    if (s.output_tokens > 1) add(1, m.tpot_s, s.tpot_s());
    add(2, m.e2e_s, s.e2e_s());
  }
  const auto row = [&](const std::string& name, double m, double s) {
    table.rows.push_back(result::compare({.name = name,
                                          .unit = "s",
                                          .better = result::Comparison::Better::kEqual,
                                          .baseline = m,
                                          .value = s},
                                         kAgreement));
  };
  constexpr const char* kNames[] = {"TTFT", "TPOT", "e2e"};
  for (int i = 0; i < 3; ++i) {
    if (measured[i].empty()) continue;
    const std::string name(kNames[i]);
    row(name + " mean", mean(measured[i]), mean(simulated[i]));
    row(name + " p50", quantile(measured[i], 0.5), quantile(simulated[i], 0.5));
    row(name + " p95", quantile(measured[i], 0.95), quantile(simulated[i], 0.95));
  }
  report.comparisons.push_back(std::move(table));
  for (int i = 0; i < 3; ++i) {
    if (measured[i].empty()) continue;
    report.charts.push_back(distributions(kNames[i], measured[i], simulated[i]));
  }
}

}  // namespace

Status add_load_comparison(const MeasuredLoad& load, const scheduler::Config& config,
                           const StepTimeModel& model, const LoadComparison& options,
                           result::Report& report) {
  Draws draws;
  int64_t requests = 0;
  for (int i = 0; i < kCompareSeeds; ++i) {
    const auto trial = simulate_load(load, config, model, options.seed + static_cast<uint64_t>(i));
    if (!trial) return trial.error();
    const Errors errors = judge(load, *trial, options.from);
    requests = errors.requests;
    draw(errors, *trial, draws);
    if (i == 0) add_latencies(load, *trial, options.from, report);
    // A model that knows no chance says the same again.
    if (i == 1 && draws.at("e2e_mean_error")[0] == draws.at("e2e_mean_error")[1]) break;
  }
  add_errors(draws, requests, options.from, report);
  add_counters(load.counters, draws, report);
  return {};
}

}  // namespace touchstone::simulator
