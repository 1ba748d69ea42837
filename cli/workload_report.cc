#include "cli/workload_report.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "base/version.h"

namespace touchstone::cli {
namespace {

using workload::Description;
using workload::LengthSketch;

// Of tenants and priorities, those with most requests.
constexpr size_t kMostRows = 10;

void add_row(result::FigureTable& table, std::string name, const char* unit, double value) {
  table.rows.push_back({std::move(name), unit, {{"value", value}}});
}

result::FigureTable arrivals_table(const Description& d) {
  result::FigureTable table{.title = "Arrivals", .columns = {"value"}};
  add_row(table, "requests", "", static_cast<double>(d.requests));
  add_row(table, "duration", "s", static_cast<double>(d.last_ns - d.first_ns) * 1e-9);
  add_row(table, "rate", "requests/s", d.rate_per_s());
  const int64_t most = *std::max_element(d.slots.begin(), d.slots.end());
  const double slot_s = static_cast<double>(d.slot_ns) * 1e-9;
  add_row(table, "peak rate", "requests/s", static_cast<double>(most) / slot_s);
  add_row(table, "variation of the gaps", "", d.gap_variation);
  if (d.dispersion) add_row(table, "dispersion of the counts", "", *d.dispersion);
  table.notes.push_back("peak rate and dispersion in slots of " + format_duration(d.slot_ns) +
                        "; a Poisson process has variation 1 and dispersion 1");
  return table;
}

void add_lengths(const char* name, const LengthSketch& lengths, result::FigureTable& table) {
  if (lengths.count() == 0) return;
  table.rows.push_back({name,
                        "tokens",
                        {{"mean", lengths.mean()},
                         {"p50", lengths.quantile(0.5)},
                         {"p95", lengths.quantile(0.95)},
                         {"p99", lengths.quantile(0.99)},
                         {"most", lengths.most()}}});
}

result::FigureTable sharing_table(const Description& d) {
  result::FigureTable table{.title = "What requests share", .columns = {"value"}};
  if (const auto share = d.reuse.share()) {
    add_row(table, "named blocks", "", static_cast<double>(d.reuse.blocks()));
    add_row(table, "blocks seen before", "%", *share * 100);
    add_row(table, "prompt tokens seen before", "%", d.reuse.share_of_tokens().value_or(0) * 100);
    table.notes.emplace_back("seen before: what a prefix cache without end would have hit");
    if (d.reuse.sampled()) table.notes.emplace_back("from a sample of the block ids");
  }
  if (d.sessions > 0) {
    const bool all = static_cast<size_t>(d.sessions) < Description::kMostNames;
    add_row(table, all ? "sessions" : "sessions, at least", "", static_cast<double>(d.sessions));
    add_row(table, "later turns", "", static_cast<double>(d.later_turns));
  }
  if (d.hang_ups > 0) add_row(table, "clients that hang up", "", static_cast<double>(d.hang_ups));
  return table;
}

template <typename Key, typename Name>
void add_shares(const char* title, const std::map<Key, int64_t>& counts, int64_t requests,
                const Name& name, result::Report& report) {
  if (counts.size() < 2) return;
  std::vector<std::pair<Key, int64_t>> rows(counts.begin(), counts.end());
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  result::FigureTable table{.title = title, .columns = {"requests", "share"}};
  for (size_t i = 0; i < std::min(kMostRows, rows.size()); ++i) {
    const double count = static_cast<double>(rows[i].second);
    table.rows.push_back({name(rows[i].first),
                          "",
                          {{"requests", count}, {"share", count / static_cast<double>(requests)}}});
  }
  if (rows.size() > kMostRows) {
    table.notes.push_back("and " + format_count(std::ssize(rows) - 10) + " more");
  }
  report.tables.push_back(std::move(table));
}

result::Chart rate_chart(const Description& d) {
  result::Series line{.name = "rate"};
  const double slot_s = static_cast<double>(d.slot_ns) * 1e-9;
  for (size_t i = 0; i < d.slots.size(); ++i) {
    line.x.push_back(static_cast<double>(i) * slot_s);
    line.y.push_back(static_cast<double>(d.slots[i]) / slot_s);
  }
  return {.title = "Rate over time",
          .kind = result::Chart::Kind::kStep,
          .x_label = "s",
          .y_label = "requests/s",
          .series = {std::move(line)}};
}

result::Chart length_chart(const Description& d) {
  result::Chart chart{.title = "Lengths",
                      .kind = result::Chart::Kind::kLine,
                      .x_label = "tokens",
                      .y_label = "share of requests"};
  for (const auto& [name, lengths] :
       {std::pair("prompt", &d.prompt_tokens), {"answer", &d.output_tokens}}) {
    if (lengths->count() == 0) continue;
    result::Series line{.name = name};
    for (int percent = 0; percent <= 100; ++percent) {
      line.x.push_back(lengths->quantile(percent / 100.0));
      line.y.push_back(percent / 100.0);
    }
    chart.series.push_back(std::move(line));
  }
  return chart;
}

}  // namespace

result::Report describe_report(const std::string& name, const Description& d) {
  result::Report report;
  report.title = "workload " + name;
  report.verdict = result::Verdict::kSkip;  // nothing is judged
  report.provenance.tool_version = kVersion;
  report.tables.push_back(arrivals_table(d));
  result::FigureTable lengths{.title = "Lengths", .columns = {"mean", "p50", "p95", "p99", "most"}};
  add_lengths("prompt", d.prompt_tokens, lengths);
  add_lengths("answer", d.output_tokens, lengths);
  lengths.notes.emplace_back("quantiles within 0.5 %");
  if (lengths.rows.size() > 0) report.tables.push_back(std::move(lengths));
  result::FigureTable sharing = sharing_table(d);
  if (!sharing.rows.empty()) report.tables.push_back(std::move(sharing));
  add_shares(
      "Tenants", d.tenants, d.requests,
      [](const std::string& tenant) { return tenant.empty() ? "(none)" : tenant; }, report);
  add_shares(
      "Priorities", d.priorities, d.requests,
      [](int64_t priority) { return std::to_string(priority); }, report);
  report.charts.push_back(rate_chart(d));
  report.charts.push_back(length_chart(d));
  if (d.unknown_lengths > 0) {
    report.notes.push_back(format_count(d.unknown_lengths) +
                           " requests do not say how long prompt and answer are");
  }
  if (!d.left_out.empty()) report.notes.push_back("left out: " + d.left_out);
  return report;
}

}  // namespace touchstone::cli
