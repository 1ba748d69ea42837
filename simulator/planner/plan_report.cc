// The plan as a report: summary, limits, fleets, flags, proof and the Pareto front.
#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <utility>

#include "base/json_text.h"
#include "base/statistics.h"
#include "base/text.h"
#include "base/version.h"
#include "simulator/planner/plan.h"
#include "simulator/planner/what_if.h"

namespace touchstone::simulator {
namespace {

constexpr double kConfidence = 0.95;
// Fleets beside the smallest that the Pareto table looks at, for each kind of hardware.
constexpr int64_t kMoreReplicas = 3;
constexpr size_t kMostParetoColumns = 6;

/// Mean and its Student interval over replications.
result::Cell cell_of(std::string column, const std::vector<double>& values) {
  result::Cell cell{.column = std::move(column), .value = mean(values)};
  const size_t n = values.size();
  if (n < 2 || !std::isfinite(cell.value)) return cell;
  double squares = 0;
  for (const double v : values) squares += (v - cell.value) * (v - cell.value);
  const double deviation = std::sqrt(squares / static_cast<double>(n - 1));
  const boost::math::students_t student(static_cast<double>(n - 1));
  const double half = boost::math::quantile(student, (1 + kConfidence) / 2) * deviation /
                      std::sqrt(static_cast<double>(n));
  cell.interval =
      result::Interval{std::max(0.0, cell.value - half), cell.value + half, kConfidence};
  return cell;
}

template <typename Value>
std::vector<double> over(const std::vector<TrialResult>& results, const Value& value) {
  std::vector<double> values;
  for (const TrialResult& result : results) values.push_back(value(result));
  return values;
}

class PlanReport final {
 public:
  PlanReport(const Trace& trace, const Plan& plan, const PlanOptions& options)
      : trace_(trace), plan_(plan), options_(options), slos_(options.slos) {}

  Result<result::Report> run() {
    report_.title = "plan " + options_.trace_name;
    report_.provenance.tool_version = kVersion;
    report_.verdict = plan_.cheapest ? result::Verdict::kPass : result::Verdict::kFail;
    report_.notes.push_back(
        format_count(std::ssize(trace_.requests())) + " requests at " +
        format_fixed(trace_.rate_per_s() * options_.rate, 3) + " requests/s" +
        (options_.rate == 1 ? "" : " (" + format_double(options_.rate) + " times the trace's)") +
        ", " + std::to_string(options_.replications) +
        " replications: the trace, and others drawn from its " + std::to_string(Trace::kSlices) +
        " slices");
    summarize();
    for (const HardwarePlan& row : plan_.rows) {
      if (!row.impossible.empty()) {
        report_.notes.push_back("impossible with " + row.row.name + ": " + row.impossible);
      }
    }
    if (!plan_.cheapest) return report_;
    const HardwarePlan& best = plan_.rows[*plan_.cheapest];
    add_budgets(best);
    add_fleets();
    add_flags(best);
    add_proof();
    add_doubts(best);
    RETURN_IF_ERROR(add_pareto());
    if (options_.sensitivity) {
      RETURN_IF_ERROR(add_sensitivity(trace_, best, options_, report_));
      RETURN_IF_ERROR(add_loads(trace_, best, options_, report_));
    }
    return report_;
  }

 private:
  void summarize() {
    if (!plan_.cheapest) {
      report_.summary = "impossible: no fleet of the given hardware keeps the limits";
      return;
    }
    const HardwarePlan& best = plan_.rows[*plan_.cheapest];
    report_.summary = fleet_name(best, best.replicas) + " behind " + options_.router;
    if (best.cost_per_hour() > 0) {
      report_.summary += ", " + format_fixed(best.cost_per_hour(), 2) + " per hour";
    }
    report_.summary += " keep" + std::string(best.replicas == 1 ? "s" : "") + " the limits";
    if (*plan_.smallest != *plan_.cheapest) {
      const HardwarePlan& small = plan_.rows[*plan_.smallest];
      report_.summary += "; the smallest fleet is " + fleet_name(small, small.replicas);
      if (small.cost_per_hour() > 0) {
        report_.summary += ", " + format_fixed(small.cost_per_hour(), 2) + " per hour";
      }
    }
  }

  void add_budgets(const HardwarePlan& best) {
    for (size_t i = 0; i < slos_.limits.size(); ++i) {
      const result::Cell cell = cell_of(
          "", over(best.results, [i](const auto& r) { return r.attainment.rows[i].value_s; }));
      result::BudgetRow row{.phase = to_string(slos_.limits[i].phase),
                            .quantile = slos_.limits[i].quantile,
                            .threshold_s = slos_.limits[i].limit_s,
                            .measured_s = cell.value};
      if (cell.interval) {
        row.low_s = cell.interval->low;
        row.high_s = cell.interval->high;
      }
      row.samples = std::ssize(trace_.requests());
      row.verdict = result::Verdict::kPass;  // in every replication, or it were not the plan
      report_.budgets.push_back(std::move(row));
    }
  }

  /// One column for each kind of hardware that will do.
  void add_fleets() {
    result::FigureTable table{.title = "Fleets"};
    std::vector<const HardwarePlan*> rows;
    for (const HardwarePlan& p : plan_.rows) {
      if (!p.impossible.empty()) continue;
      rows.push_back(&p);
      table.columns.push_back(p.row.name);
    }
    const auto row = [&](std::string name, const char* unit, const auto& value) {
      result::Figure figure{.name = std::move(name), .unit = unit};
      for (const HardwarePlan* p : rows) {
        const std::optional<double> v = value(*p);
        if (v) figure.values.push_back({p->row.name, *v});
      }
      if (!figure.values.empty()) table.rows.push_back(std::move(figure));
    };
    using Optional = std::optional<double>;
    row("replicas", "", [](const auto& p) { return Optional(static_cast<double>(p.replicas)); });
    row("cost per hour", "", [](const auto& p) {
      return p.row.price_per_hour > 0 ? Optional(p.cost_per_hour()) : std::nullopt;
    });
    row("highest rate of a replica", "requests/s",
        [](const auto& p) { return p.rate_per_replica; });
    row("too high a rate", "requests/s", [](const auto& p) { return p.rate_that_fails; });
    row("KV runs out at", "requests/s", [](const auto& p) { return p.kv_full_at; });
    row("busy", "%", [](const auto& p) { return Optional(p.results[0].busy_share * 100); });
    row("peak KV blocks", "blocks",
        [](const auto& p) { return Optional(static_cast<double>(p.results[0].peak_used_blocks)); });
    row("peak running", "requests",
        [](const auto& p) { return Optional(static_cast<double>(p.results[0].peak_running)); });
    row("prompt tokens cached", "%",
        [](const auto& p) { return Optional(p.results[0].cached_share * 100); });
    row("limit used", "%", [this](const auto& p) { return Optional(100 * worst_use(p.results)); });
    table.notes.emplace_back("rates are of one replica under the whole trace, faster or slower");
    for (const HardwarePlan* p : rows) {
      if (!p->rate_per_replica) {
        table.notes.push_back("no rate is slow enough for a single replica of " + p->row.name +
                              ": requests that come at the same instant stay together");
      }
      if (p->kv_full_at || !p->rate_per_replica) continue;
      table.notes.push_back("KV of " + p->row.name + " does not run out up to " +
                            format_fixed(p->kv_looked_up_to, 2) + " requests/s");
    }
    report_.tables.push_back(std::move(table));
  }

  double worst_use(const std::vector<TrialResult>& results) const {
    double used = 0;
    for (const TrialResult& r : results) used = std::max(used, limit_used(slos_, r.attainment));
    return used;
  }

  void add_flags(const HardwarePlan& best) {
    scheduler::Config given;
    (void)scheduler::set_values(best.row.flags, given);  // they were good when it was planned
    result::FigureTable table{.title = "Flags to set", .columns = {"given", "set"}};
    const auto row = [&](const char* name, int64_t was, int64_t is) {
      table.rows.push_back(
          {name, "", {{"given", static_cast<double>(was)}, {"set", static_cast<double>(is)}}});
    };
    row("--max-num-seqs", given.max_num_seqs, best.config.max_num_seqs);
    row("--max-num-batched-tokens", given.max_num_batched_tokens,
        best.config.max_num_batched_tokens);
    row("KV blocks, at least", given.num_blocks, best.blocks_needed);
    table.notes.push_back("for " + best.row.name +
                          "; a flag is changed only where a replica takes 5 % more with it");
    report_.tables.push_back(std::move(table));
  }

  void add_proof() {
    for (const HardwarePlan& p : plan_.rows) {
      if (!p.impossible.empty()) continue;
      std::string note = fleet_name(p, p.replicas) + ": the limits are kept in " +
                         std::to_string(p.results.size()) + " of " +
                         std::to_string(options_.replications) + " replications";
      if (p.fails && p.fails_result) {
        note += "; with " + std::to_string(*p.fails) + " " + broken_limit(slos_, *p.fails_result);
      }
      report_.notes.push_back(std::move(note));
    }
  }

  /// What the numbers rest on, where that is little.
  void add_doubts(const HardwarePlan& best) {
    constexpr double kFew = 10;
    const auto requests = static_cast<double>(trace_.requests().size());
    for (const Slo& slo : slos_.limits) {
      const double beyond = (1 - slo.quantile) * requests;
      if (beyond >= kFew) continue;
      report_.notes.push_back(name_of(slo) + " rests on the " +
                              format_count(static_cast<int64_t>(std::ceil(beyond - 1e-9))) +
                              " slowest of " + format_count(std::ssize(trace_.requests())) +
                              " requests: a longer trace says more");
    }
    const TrialResult& result = best.results.front();
    if (result.extrapolated_steps * 100 > result.steps) {
      report_.notes.push_back(
          format_fixed(100.0 * static_cast<double>(result.extrapolated_steps) /
                           static_cast<double>(result.steps),
                       1) +
          " % of the fleet's steps are outside of what the step-time model was made for");
    }
  }

  /// Fleets of which no other is both cheaper (or smaller, without prices) and better.
  Status add_pareto() {
    struct Point {
      std::string name;
      double cost;
      TrialResult result;
      double used;
    };
    std::vector<Point> points;
    const bool priced = std::any_of(plan_.rows.begin(), plan_.rows.end(),
                                    [](const auto& p) { return p.row.price_per_hour > 0; });
    for (const HardwarePlan& p : plan_.rows) {
      if (!p.impossible.empty()) continue;
      const auto hardware = make_hardware(p.row, {});
      if (!hardware) return hardware.error();
      std::vector<Trial> trials;
      const int64_t most = std::min(p.row.most, p.replicas + kMoreReplicas);
      for (int64_t n = p.replicas; n <= most; ++n) {
        trials.push_back(trial_of(options_, p, *hardware->model, n));
      }
      const auto results = run_all(trace_, trials, options_);
      if (!results) return results.error();
      for (size_t i = 0; i < results->size(); ++i) {
        const int64_t n = trials[i].replicas;
        const double cost =
            priced ? static_cast<double>(n) * p.row.price_per_hour : static_cast<double>(n);
        points.push_back(
            {fleet_name(p, n), cost, (*results)[i], limit_used(slos_, (*results)[i].attainment)});
      }
    }
    std::stable_sort(points.begin(), points.end(), [](const Point& a, const Point& b) {
      return std::pair(a.cost, a.used) < std::pair(b.cost, b.used);
    });
    std::vector<Point> front;
    for (const Point& point : points) {
      if (front.empty() || point.used < front.back().used) front.push_back(point);
    }
    if (front.size() > kMostParetoColumns) front.resize(kMostParetoColumns);
    result::FigureTable table{.title = "Cheaper or better"};
    std::vector<result::Figure> rows;
    rows.push_back({.name = priced ? "cost per hour" : "replicas", .unit = ""});
    rows.push_back({.name = "limit used", .unit = "%"});
    for (const Slo& slo : slos_.limits) rows.push_back({.name = name_of(slo), .unit = "s"});
    if (slos_.goodput) rows.push_back({.name = "goodput", .unit = "%"});
    result::Series curve{.name = "worst limit"};
    for (const Point& point : front) {
      curve.x.push_back(point.cost);
      curve.y.push_back(point.used);
      table.columns.push_back(point.name);
      size_t row = 0;
      const auto put = [&](double v) { rows[row++].values.push_back({point.name, v}); };
      put(point.cost);
      put(point.used * 100);
      for (const Attainment::Row& r : point.result.attainment.rows) put(r.value_s);
      if (slos_.goodput) put(point.result.attainment.goodput * 100);
    }
    if (front.size() > 1) {
      report_.charts.push_back({.title = "What more money buys",
                                .kind = result::Chart::Kind::kStep,
                                .x_label = rows.front().name,
                                .y_label = "share of the limit",
                                .series = {std::move(curve)}});
    }
    table.rows = std::move(rows);
    table.notes.emplace_back("the Pareto front: no other fleet is both cheaper and better");
    report_.tables.push_back(std::move(table));
    return {};
  }

  const Trace& trace_;
  const Plan& plan_;
  const PlanOptions& options_;
  const Slos& slos_;
  result::Report report_;
};

}  // namespace

std::string cluster_yaml(const HardwarePlan& plan, const std::string& router) {
  // Text in double quotes is the same in YAML and in JSON.
  const auto quoted = [](const std::string& text) {
    std::string json;
    append_json_string(json, text);
    return json;
  };
  std::string text = "cluster: 1\nrouter: " + router +
                     "\nreplicas:\n  - name: " + quoted(plan.row.name) +
                     "\n    count: " + std::to_string(plan.replicas) +
                     "\n    steptime: " + quoted(plan.row.step_time) +
                     "\n    price_per_hour: " + format_double(plan.row.price_per_hour) +
                     "\n    start_up: " + std::to_string(plan.row.start_up_ns) + "ns\n    flags:\n";
  for (const scheduler::ConfigField& field : scheduler::config_fields()) {
    const scheduler::FieldValue value = scheduler::get(plan.config, field);
    if (field.flag.empty() || value == scheduler::get({}, field)) continue;
    text += "      " + std::string(field.flag) + ": ";
    if (const auto* flag = std::get_if<bool>(&value)) text += *flag ? "true" : "false";
    if (const auto* number = std::get_if<int64_t>(&value)) text += std::to_string(*number);
    if (const auto* word = std::get_if<std::string>(&value)) text += *word;
    text += "\n";
  }
  return text;
}

Result<result::Report> plan_report(const Trace& trace, const Plan& plan,
                                   const PlanOptions& options) {
  return PlanReport(trace, plan, options).run();
}

}  // namespace touchstone::simulator
