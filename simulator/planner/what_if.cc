#include "simulator/planner/what_if.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/parallel.h"
#include "base/text.h"
#include "simulator/planner/search.h"

namespace touchstone::simulator {
namespace {

void add_double_load(const HardwarePlan& best, const PlanOptions& options,
                     const std::vector<double>& loads, const std::vector<TrialResult>& results,
                     result::Report& report) {
  result::FigureTable table{.title = "At twice the load", .columns = {"planned", "twice"}};
  const TrialResult& twice = results.back();
  const size_t planned =
      static_cast<size_t>(std::find(loads.begin(), loads.end(), 1.0) - loads.begin());
  const auto row = [&](std::string name, const char* unit, const auto& value) {
    result::Figure figure{.name = std::move(name), .unit = unit};
    for (const auto& [column, result] :
         {std::pair("planned", &results[planned]), {"twice", &twice}}) {
      const double v = value(*result);
      if (std::isfinite(v)) figure.values.push_back({column, v});
    }
    table.rows.push_back(std::move(figure));
  };
  for (size_t s = 0; s < options.slos.limits.size(); ++s) {
    row(name_of(options.slos.limits[s]), "s",
        [s](const TrialResult& r) { return r.attainment.rows[s].value_s; });
  }
  row("goodput", "%", [](const TrialResult& r) { return r.attainment.goodput * 100; });
  row("busy", "%", [](const TrialResult& r) { return r.busy_share * 100; });
  row("peak KV blocks", "blocks",
      [](const TrialResult& r) { return static_cast<double>(r.peak_used_blocks); });
  row("preemptions", "", [](const TrialResult& r) { return static_cast<double>(r.preemptions); });
  row("output tokens/s", "", [](const TrialResult& r) { return r.output_tokens_per_s; });
  const auto first = std::find_if(results.begin(), results.end(),
                                  [](const TrialResult& r) { return !r.attainment.all_kept(); });
  if (first == results.end()) {
    table.notes.emplace_back("nothing breaks up to twice the load");
  } else {
    const double load = loads[static_cast<size_t>(first - results.begin())];
    table.notes.push_back("first at " + format_double(load) +
                          " times the load: " + broken_limit(options.slos, *first) +
                          "; what requests wait for is " + first->bottleneck());
  }
  table.notes.push_back("by " + fleet_name(best, best.replicas) +
                        "; at twice the load what "
                        "requests wait for is " +
                        twice.bottleneck());
  report.tables.push_back(std::move(table));
}

}  // namespace

std::string fleet_name(const HardwarePlan& plan, int64_t replicas) {
  return std::to_string(replicas) + " x " + plan.row.name;
}

std::string seconds_text(double seconds) {
  return seconds < 9e9 ? format_duration(std::llround(seconds * 1e9)) : "endless";
}

std::string broken_limit(const Slos& slos, const TrialResult& result) {
  const auto worst = result.attainment.worst(slos);
  if (!worst) return "no limit is broken";
  if (*worst == slos.limits.size()) {
    return "goodput is " + format_fixed(result.attainment.goodput * 100, 1) + " %";
  }
  return name_of(slos.limits[*worst]) + " is " +
         seconds_text(result.attainment.rows[*worst].value_s) + " against " +
         seconds_text(slos.limits[*worst].limit_s);
}

double limit_used(const Slos& slos, const Attainment& attainment) {
  double used = 0;
  for (size_t i = 0; i < slos.limits.size(); ++i) {
    used = std::max(used, attainment.rows[i].value_s / slos.limits[i].limit_s);
  }
  if (slos.goodput) {
    const double bad = 1 - attainment.goodput;
    const double may = 1 - *slos.goodput;
    used = std::max(used, may > 0 ? bad / may : (bad > 0 ? 1e9 : 0));
  }
  return used;
}

Trial trial_of(const PlanOptions& options, const HardwarePlan& plan, const StepTimeModel& model,
               int64_t replicas) {
  return {.config = plan.config,
          .model = &model,
          .router = options.router,
          .replicas = replicas,
          .rate = options.rate};
}

Result<std::vector<TrialResult>> run_all(const Trace& trace, const std::vector<Trial>& trials,
                                         const PlanOptions& options) {
  std::vector<std::optional<TrialResult>> results(trials.size());
  std::vector<Status> errors(trials.size());
  run_parallel(trials.size(), options.threads, [&](size_t i) {
    const auto result = run_trial(trace, trials[i], options.slos);
    if (result) {
      results[i] = *result;
    } else {
      errors[i] = result.error();
    }
  });
  std::vector<TrialResult> all;
  for (size_t i = 0; i < trials.size(); ++i) {
    if (!errors[i]) return errors[i].error();
    all.push_back(*results[i]);
  }
  return all;
}

Status add_sensitivity(const Trace& trace, const HardwarePlan& best, const PlanOptions& options,
                       result::Report& report) {
  const auto hardware = make_hardware(best.row, {});
  if (!hardware) return hardware.error();
  struct Change {
    const char* name;
    void (*apply)(Trial&);
  };
  const Change changes[] = {
      {"as planned", [](Trial&) {}},
      {"a quarter more requests", [](Trial& t) { t.rate *= 1.25; }},
      {"a quarter fewer requests", [](Trial& t) { t.rate *= 0.75; }},
      {"prompts a quarter longer", [](Trial& t) { t.prompt_tokens = 1.25; }},
      {"answers a quarter longer", [](Trial& t) { t.output_tokens = 1.25; }},
      {"steps 10 % slower", [](Trial& t) { t.step_time = 1.1; }},
      {"steps 10 % faster", [](Trial& t) { t.step_time = 0.9; }},
      {"no prefix caching", [](Trial& t) { t.config.enable_prefix_caching = false; }}};
  const size_t count = std::size(changes);
  std::vector<std::optional<CountFound>> found(count);
  std::vector<double> used(count);
  std::vector<Status> errors(count);
  run_parallel(count, options.threads, [&](size_t i) {
    const auto needs =
        least_count(best.replicas, std::min<int64_t>(best.row.most, 4 * best.replicas + 8),
                    [&](int64_t n) -> Result<bool> {
                      Trial trial = trial_of(options, best, *hardware->model, n);
                      changes[i].apply(trial);
                      const auto result = run_trial(trace, trial, options.slos);
                      if (!result) return result.error();
                      if (n == best.replicas)
                        used[i] = limit_used(options.slos, result->attainment);
                      return result->attainment.all_kept();
                    });
    if (needs) {
      found[i] = *needs;
    } else {
      errors[i] = needs.error();
    }
  });
  result::FigureTable table{.title = "Sensitivity", .columns = {"limit used", "replicas"}};
  for (size_t i = 0; i < count; ++i) {
    if (!errors[i]) return errors[i];
    result::Figure row{.name = changes[i].name, .unit = ""};
    if (std::isfinite(used[i])) row.values.push_back({"limit used", used[i]});
    if (found[i]->least) {
      row.values.push_back({"replicas", static_cast<double>(*found[i]->least)});
    }
    table.rows.push_back(std::move(row));
  }
  table.notes.push_back("limit used: by " + fleet_name(best, best.replicas) +
                        ", above 1 a limit is broken; replicas: how many would do, by the trace "
                        "as it is");
  report.tables.push_back(std::move(table));
  return {};
}

Status add_loads(const Trace& trace, const HardwarePlan& best, const PlanOptions& options,
                 result::Report& report) {
  const auto hardware = make_hardware(best.row, {});
  if (!hardware) return hardware.error();
  std::vector<Trial> trials;
  std::vector<double> loads;
  for (int tenths = 5; tenths <= 20; ++tenths) {
    loads.push_back(tenths / 10.0);
    trials.push_back(trial_of(options, best, *hardware->model, best.replicas));
    trials.back().rate *= loads.back();
  }
  const auto results = run_all(trace, trials, options);
  if (!results) return results.error();
  result::Chart chart{.title = "Limits against load",
                      .kind = result::Chart::Kind::kLine,
                      .x_label = "times the planned load",
                      .y_label = "share of the limit"};
  for (size_t s = 0; s < options.slos.limits.size(); ++s) {
    result::Series line{.name = name_of(options.slos.limits[s])};
    for (size_t i = 0; i < loads.size(); ++i) {
      const double used = (*results)[i].attainment.rows[s].value_s / options.slos.limits[s].limit_s;
      if (!std::isfinite(used)) continue;
      line.x.push_back(loads[i]);
      line.y.push_back(used);
    }
    chart.series.push_back(std::move(line));
  }
  report.charts.push_back(std::move(chart));
  add_double_load(best, options, loads, *results, report);
  return {};
}

}  // namespace touchstone::simulator
