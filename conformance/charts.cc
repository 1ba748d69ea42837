#include "conformance/charts.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/clock.h"
#include "base/statistics.h"
#include "base/text.h"
#include "conformance/budgets.h"

namespace touchstone::conformance {
namespace {

using result::Chart;
using result::Figure;
using result::FigureTable;
using result::Waterfall;
using result::WaterfallBar;

Figure row(const std::string& name, int64_t count, const std::string& column) {
  return {.name = name, .unit = "", .values = {{column, static_cast<double>(count)}}};
}

/// queue, prefill and decode one after the other. The attributes are durations: only the first
/// token's time ties them to the span, so prefill ends there.
void add_phases(const Example& example, double span_start, std::vector<WaterfallBar>& bars) {
  const auto queue = example.phase("queue");
  const auto prefill = example.phase("prefill");
  const auto decode = example.phase("decode");
  const auto ttft = example.phase("ttft");
  if (!queue || !prefill || !decode) return;
  const double first_token = span_start + ttft.value_or(*queue + *prefill);
  const double scheduled = std::max(first_token - *prefill, span_start);
  const double queued = std::max(scheduled - *queue, span_start);
  bars.push_back({.label = "queue",
                  .start_s = queued,
                  .end_s = scheduled,
                  .depth = 2,
                  .attributes = {{"seconds", format_double(*queue)}}});
  bars.push_back({.label = "prefill",
                  .start_s = scheduled,
                  .end_s = first_token,
                  .depth = 2,
                  .attributes = {{"seconds", format_double(*prefill)}}});
  bars.push_back({.label = "decode",
                  .start_s = first_token,
                  .end_s = first_token + *decode,
                  .depth = 2,
                  .attributes = {{"seconds", format_double(*decode)}}});
}

Waterfall waterfall_of(const Example& example, const std::string& what) {
  const telemetry::Span& span = example.span;
  const records::LedgerEntry* entry = example.entry;
  Waterfall waterfall;
  waterfall.title = what + ", trace " + span.trace_id.hex();
  int64_t origin = span.start_unix_ns;
  const bool has_client = entry != nullptr && entry->sent_unix_ns > 0;
  if (has_client) origin = std::min(origin, entry->sent_unix_ns);
  if (has_client) {
    const double sent = to_seconds(entry->sent_unix_ns - origin);
    WaterfallBar client{.label = "client: " + describe(*entry),
                        .start_s = sent,
                        .end_s = sent + to_seconds(entry->done_ns),
                        .depth = 0,
                        .attributes = {{"http status", std::to_string(entry->status)},
                                       {"outcome", to_string(entry->outcome)}}};
    if (entry->first_chunk_ns) {
      client.attributes.emplace_back("first chunk after", format_duration(*entry->first_chunk_ns));
    }
    waterfall.bars.push_back(std::move(client));
  }
  const double start = to_seconds(span.start_unix_ns - origin);
  WaterfallBar server{
      .label = "server: " + span.name,
      .start_s = start,
      .end_s = to_seconds(span.end_unix_ns - origin),
      .depth = 1,
      .attributes = {{"span id", span.span_id.hex()}, {"parent", span.parent_span_id.hex()}}};
  for (const telemetry::KeyValue& attribute : span.attributes) {
    server.attributes.emplace_back(attribute.key, attribute.value.text());
  }
  waterfall.bars.push_back(std::move(server));
  add_phases(example, start, waterfall.bars);
  return waterfall;
}

/// What spans say; requests without one are no latency.
std::vector<double> finite(std::vector<double> samples) {
  std::erase_if(samples, [](double value) { return !std::isfinite(value); });
  return samples;
}

}  // namespace

std::vector<FigureTable> accounting_tables(const Observed& observed, int64_t received) {
  const Matching& matching = *observed.matching;
  static constexpr std::array kClasses = {
      RequestClass::kMatched,           RequestClass::kMissing,
      RequestClass::kUnsampled,         RequestClass::kHungUpUnrecorded,
      RequestClass::kRefusedUnrecorded, RequestClass::kFailedUnrecorded};
  FigureTable requests{.title = "Where every request went",
                       .columns = {"requests", "spans owed", "spans found"},
                       .rows = {},
                       .notes = {}};
  Figure total{.name = "sent", .unit = "", .values = {}};
  std::array<double, 3> sums = {};
  int64_t matched_spans = 0;
  int64_t surplus = 0;
  for (const RequestClass kind : kClasses) {
    std::array<double, 3> counts = {};
    for (const RequestMatch& match : matching.requests()) {
      if (match.kind() != kind) continue;
      counts[0] += 1;
      counts[1] += static_cast<double>(match.least);
      counts[2] += static_cast<double>(match.found);
    }
    // Classes that are not there are left out, but for the two that everybody looks for.
    const bool shown =
        counts[0] > 0 || kind == RequestClass::kMatched || kind == RequestClass::kMissing;
    if (!shown) continue;
    Figure figure{.name = to_string(kind), .unit = "", .values = {}};
    for (size_t i = 0; i < counts.size(); ++i) {
      figure.values.emplace_back(requests.columns[i], counts[i]);
      sums[i] += counts[i];
    }
    requests.rows.push_back(std::move(figure));
  }
  for (size_t i = 0; i < sums.size(); ++i) total.values.emplace_back(requests.columns[i], sums[i]);
  requests.rows.push_back(std::move(total));
  for (const RequestMatch& match : matching.requests()) {
    surplus += match.surplus();
    matched_spans += match.found - match.surplus();
  }
  const int64_t duplicates = observed.duplicate_requests;
  const int64_t unexplained = matching.unexplained();
  const int64_t others = received - observed.request_spans;
  FigureTable spans{
      .title = "Where every span belongs", .columns = {"spans"}, .rows = {}, .notes = {}};
  spans.rows.push_back(row("matched to a request", matched_spans, "spans"));
  const std::pair<const char*, int64_t> rest[] = {{"beyond what its request may have", surplus},
                                                  {"duplicate", duplicates},
                                                  {"unexplained", unexplained},
                                                  {"not a request's", others}};
  for (const auto& [name, count] : rest) {
    if (count > 0) spans.rows.push_back(row(name, count, "spans"));
  }
  spans.rows.push_back(row("received", received, "spans"));
  spans.detail = surplus + duplicates + unexplained == 0;
  return {std::move(requests), std::move(spans)};
}

std::optional<FigureTable> latency_table(PhaseSamples& phases) {
  constexpr std::pair<const char*, double> kQuantiles[] = {
      {"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}};
  constexpr double kConfidence = 0.95;
  FigureTable table{.title = "Latency by phase, from spans",
                    .columns = {"p50", "p95", "p99", "max"},
                    .rows = {},
                    .notes = {"in brackets: 95 % interval, where the sample is large enough"}};
  for (const std::string& phase : known_phases()) {
    const std::vector<double> samples = finite(phases.of(phase));
    if (samples.empty()) continue;
    Figure row{.name = phase, .unit = "s", .values = {}};
    for (const auto& [column, q] : kQuantiles) {
      result::Cell cell{column, quantile(samples, q)};
      if (const auto interval = quantile_interval(samples, q, kConfidence)) {
        cell.interval = {interval->low, interval->high, kConfidence};
      }
      row.values.push_back(cell);
    }
    row.values.push_back({"max", quantile(samples, 1)});
    table.rows.push_back(std::move(row));
  }
  if (table.rows.empty()) return std::nullopt;
  return table;
}

std::vector<Chart> latency_charts(PhaseSamples& phases) {
  Chart chart{.title = "Latency by phase (server spans)",
              .kind = Chart::Kind::kCdf,
              .x_label = "seconds",
              .y_label = "share of requests",
              .series = {}};
  for (const char* phase : {"queue", "prefill", "ttft", "decode", "e2e"}) {
    std::vector<double> samples = finite(phases.of(phase));
    if (samples.empty()) continue;
    result::Series series{.name = phase, .x = {}, .y = {}};
    const size_t points = std::min(samples.size(), kCdfPointsMax);
    std::sort(samples.begin(), samples.end());
    for (size_t i = 0; i < points; ++i) {
      const size_t rank = (i + 1) * samples.size() / points;  // 1-based, ends at the last
      series.x.push_back(samples[rank - 1]);
      series.y.push_back(static_cast<double>(rank) / static_cast<double>(samples.size()));
    }
    chart.series.push_back(std::move(series));
  }
  if (chart.series.empty()) return {};
  return {std::move(chart)};
}

std::vector<Waterfall> example_waterfalls(const Examples& examples) {
  std::vector<Waterfall> waterfalls;
  const auto median = examples.median();
  if (!median) return waterfalls;
  waterfalls.push_back(waterfall_of(*median, "A median request"));
  if (examples.slowest()->hash != median->hash) {
    waterfalls.push_back(waterfall_of(*examples.slowest(), "The slowest request"));
  }
  return waterfalls;
}

}  // namespace touchstone::conformance
