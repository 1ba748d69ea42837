#include "simulator/report.h"

#include <utility>

#include "base/clock.h"
#include "base/text.h"

namespace touchstone::simulator {
namespace {

void add_latency(result::FigureTable& table, const char* name, const Latencies& values) {
  if (values.empty()) return;
  table.rows.push_back({name,
                        "s",
                        {{"mean", values.mean()},
                         {"p50", values.quantile(0.5)},
                         {"p95", values.quantile(0.95)},
                         {"p99", values.quantile(0.99)}}});
}

}  // namespace

void add_simulation(const Summary& s, const scheduler::Counters& counters, result::Report& report) {
  result::FigureTable table{.title = "Simulation", .columns = {"value"}};
  const auto row = [&table](const char* name, const char* unit, double value) {
    table.rows.push_back({name, unit, {{"value", value}}});
  };
  const double makespan_s = to_seconds(s.makespan_ns());
  row("requests completed", "", static_cast<double>(s.completed));
  row("requests aborted", "", static_cast<double>(s.aborted));
  if (s.refused > 0) row("requests refused", "", static_cast<double>(s.refused));
  if (s.gave_up > 0) row("gave up in the queue", "", static_cast<double>(s.gave_up));
  if (s.crashed > 0) row("interrupted by crashes", "", static_cast<double>(s.crashed));
  row("makespan", "s", makespan_s);
  row("steps", "", static_cast<double>(s.steps));
  row("busy", "s", to_seconds(s.busy_ns));
  row("preemptions", "", static_cast<double>(s.preemptions));
  row("peak running", "requests", static_cast<double>(s.peak_running));
  row("peak waiting", "requests", static_cast<double>(s.peak_waiting));
  row("peak KV blocks", "blocks", static_cast<double>(s.peak_used_blocks));
  row("KV blocks", "blocks", static_cast<double>(s.total_blocks));
  row("prompt tokens", "tokens", static_cast<double>(s.prompt_tokens));
  row("prefix-cache queries", "tokens", static_cast<double>(counters.prefix_cache_queries));
  row("prefix-cache hits", "tokens", static_cast<double>(counters.prefix_cache_hits));
  if (counters.external_tokens > 0) {
    row("keys and values had from elsewhere", "tokens",
        static_cast<double>(counters.external_tokens));
  }
  row("output tokens", "tokens", static_cast<double>(s.completion_tokens));
  row("output rate", "tokens/s",
      makespan_s > 0 ? static_cast<double>(s.completion_tokens) / makespan_s : 0.0);
  report.tables.push_back(std::move(table));

  result::FigureTable latency{.title = "Latency", .columns = {"mean", "p50", "p95", "p99"}};
  add_latency(latency, "arrival to scheduled", s.wait_s);
  add_latency(latency, "queue", s.queue_s);
  add_latency(latency, "TTFT", s.ttft_s);
  add_latency(latency, "TPOT", s.tpot_s);
  add_latency(latency, "e2e", s.e2e_s);
  if (!s.wait_s.exact()) {
    latency.notes.push_back("of more than " + format_count(Latencies::kMostExact) +
                            " requests: quantiles are within " +
                            format_fixed(100 * Latencies::kError, 1) + " % of the exact ones");
  }
  if (!latency.rows.empty()) report.tables.push_back(std::move(latency));
}

void add_distributions(const Summary& s, result::Report& report) {
  constexpr size_t kPoints = 201;
  const std::pair<const char*, const Latencies*> shown[] = {
      {"TTFT", &s.ttft_s}, {"TPOT", &s.tpot_s}, {"e2e", &s.e2e_s}};
  for (const auto& [name, latencies] : shown) {
    if (latencies->empty()) continue;
    result::Series line{.name = name, .x = latencies->quantiles(kPoints)};
    for (size_t i = 0; i < kPoints; ++i) {
      line.y.push_back(static_cast<double>(i) / (kPoints - 1));
    }
    report.charts.push_back({.title = std::string(name) + " of requests",
                             .kind = result::Chart::Kind::kCdf,
                             .x_label = "seconds",
                             .y_label = "share of requests",
                             .series = {std::move(line)}});
  }
}

void add_cost(const std::vector<double>& price_per_hour, const std::vector<int64_t>& on_ns,
              const Summary& total, result::Report& report) {
  if (price_per_hour.empty()) return;
  double hours = 0;
  double cost = 0;
  for (size_t i = 0; i < on_ns.size(); ++i) {
    const double on_hours = static_cast<double>(on_ns[i]) / 3.6e12;
    hours += on_hours;
    cost += on_hours * price_per_hour[i];
  }
  result::FigureTable table{.title = "Cost", .columns = {"value"}};
  table.rows.push_back({"replica hours", "", {{"value", hours}}});
  if (cost > 0) table.rows.push_back({"cost", "", {{"value", cost}}});
  if (cost > 0 && total.completion_tokens > 0) {
    table.rows.push_back({"cost of a million output tokens",
                          "",
                          {{"value", cost / static_cast<double>(total.completion_tokens) * 1e6}}});
  }
  report.tables.push_back(std::move(table));
}

scheduler::Counters total_of(const std::vector<scheduler::Counters>& replicas) {
  scheduler::Counters total;
  for (const scheduler::Counters& c : replicas) {
    total.prefix_cache_queries += c.prefix_cache_queries;
    total.prefix_cache_hits += c.prefix_cache_hits;
    total.preemptions += c.preemptions;
    total.external_tokens += c.external_tokens;
  }
  return total;
}

void add_replicas(const std::vector<Summary>& summaries,
                  const std::vector<scheduler::Counters>& counters, result::Report& report) {
  result::FigureTable table{.title = "Replicas"};
  for (size_t i = 0; i < summaries.size(); ++i) table.columns.push_back(std::to_string(i));
  const auto row = [&](const char* name, const char* unit, const auto& value) {
    result::Figure figure{.name = name, .unit = unit};
    for (size_t i = 0; i < summaries.size(); ++i) {
      figure.values.push_back({table.columns[i], value(i)});
    }
    table.rows.push_back(std::move(figure));
  };
  const auto count = [&](const char* name, const char* unit, int64_t Summary::*member) {
    row(name, unit, [&](size_t i) { return static_cast<double>(summaries[i].*member); });
  };
  count("requests completed", "", &Summary::completed);
  count("requests aborted", "", &Summary::aborted);
  row("busy", "s", [&](size_t i) { return to_seconds(summaries[i].busy_ns); });
  count("preemptions", "", &Summary::preemptions);
  count("peak running", "requests", &Summary::peak_running);
  count("peak waiting", "requests", &Summary::peak_waiting);
  count("peak KV blocks", "blocks", &Summary::peak_used_blocks);
  row("prefix-cache hits", "tokens",
      [&](size_t i) { return static_cast<double>(counters[i].prefix_cache_hits); });
  count("output tokens", "tokens", &Summary::completion_tokens);
  table.notes.emplace_back("peaks of the whole are the highest of one replica");
  report.tables.push_back(std::move(table));
}

}  // namespace touchstone::simulator
