#include "conformance/charts.h"

#include <algorithm>
#include <array>

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

double seconds(int64_t ns) { return static_cast<double>(ns) / static_cast<double>(kNsPerSecond); }

Figure row(const std::string& name, int64_t count, const std::string& column) {
  return {.name = name, .unit = "", .values = {{column, static_cast<double>(count)}}};
}

/// The request spans by duration, shortest first; ties by position.
std::vector<size_t> by_duration(const SpanIndex& index) {
  std::vector<size_t> order;
  for (size_t i = 0; i < index.spans.size(); ++i) {
    const SpanView& view = index.spans[i];
    if (view.type != nullptr && view.type->is_request) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const telemetry::Span& x = *index.spans[a].span;
    const telemetry::Span& y = *index.spans[b].span;
    return x.end_unix_ns - x.start_unix_ns < y.end_unix_ns - y.start_unix_ns;
  });
  return order;
}

const records::LedgerEntry* entry_of(const std::optional<Matching>& matching, size_t span) {
  if (!matching) return nullptr;
  for (const RequestMatch& match : matching->requests) {
    if (std::find(match.spans.begin(), match.spans.end(), span) != match.spans.end()) {
      return match.entry;
    }
  }
  return nullptr;
}

/// queue, prefill and decode one after the other. The attributes are durations: only the first
/// token's time ties them to the span, so prefill ends there.
void add_phases(const SpanView& view, const Profile& profile, double span_start,
                std::vector<WaterfallBar>& bars) {
  const auto queue = SpanIndex::number(view, profile, "queue");
  const auto prefill = SpanIndex::number(view, profile, "prefill");
  const auto decode = SpanIndex::number(view, profile, "decode");
  const auto ttft = SpanIndex::number(view, profile, "ttft");
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

Waterfall waterfall_of(const SpanIndex& index, const Profile& profile, size_t span,
                       const records::LedgerEntry* entry, const std::string& what) {
  const SpanView& view = index.spans[span];
  Waterfall waterfall;
  waterfall.title = what + ", trace " + view.span->trace_id.hex();
  int64_t origin = view.span->start_unix_ns;
  const bool has_client = entry != nullptr && entry->sent_unix_ns > 0;
  if (has_client) origin = std::min(origin, entry->sent_unix_ns);
  if (has_client) {
    const double sent = seconds(entry->sent_unix_ns - origin);
    WaterfallBar client{.label = "client: " + describe(*entry),
                        .start_s = sent,
                        .end_s = sent + seconds(entry->done_ns),
                        .depth = 0,
                        .attributes = {{"http status", std::to_string(entry->status)},
                                       {"outcome", to_string(entry->outcome)}}};
    if (entry->first_chunk_ns) {
      client.attributes.emplace_back("first chunk after", format_duration(*entry->first_chunk_ns));
    }
    waterfall.bars.push_back(std::move(client));
  }
  const double start = seconds(view.span->start_unix_ns - origin);
  WaterfallBar server{.label = "server: " + view.span->name,
                      .start_s = start,
                      .end_s = seconds(view.span->end_unix_ns - origin),
                      .depth = 1,
                      .attributes = {{"span id", view.span->span_id.hex()},
                                     {"parent", view.span->parent_span_id.hex()}}};
  for (const telemetry::KeyValue& attribute : view.span->attributes) {
    server.attributes.emplace_back(attribute.key, attribute.value.text());
  }
  waterfall.bars.push_back(std::move(server));
  add_phases(view, profile, start, waterfall.bars);
  return waterfall;
}

}  // namespace

std::vector<FigureTable> accounting_tables(const Matching& matching, const SpanIndex& index) {
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
    for (const RequestMatch& match : matching.requests) {
      if (match.kind != kind) continue;
      counts[0] += 1;
      counts[1] += static_cast<double>(match.least);
      counts[2] += static_cast<double>(match.spans.size());
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
  for (const RequestMatch& match : matching.requests) {
    surplus += match.surplus();
    matched_spans += static_cast<int64_t>(match.spans.size()) - match.surplus();
  }
  const auto duplicates = static_cast<int64_t>(matching.duplicates.size());
  const auto unexplained = static_cast<int64_t>(matching.unexplained.size());
  const auto others = static_cast<int64_t>(index.spans.size()) - matching.request_spans;
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
  spans.rows.push_back(row("received", static_cast<int64_t>(index.spans.size()), "spans"));
  spans.detail = surplus + duplicates + unexplained == 0;
  return {std::move(requests), std::move(spans)};
}

std::optional<FigureTable> latency_table(const SpanIndex& index, const Profile& profile) {
  constexpr std::pair<const char*, double> kQuantiles[] = {
      {"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}};
  constexpr double kConfidence = 0.95;
  FigureTable table{.title = "Latency by phase, from spans",
                    .columns = {"p50", "p95", "p99", "max"},
                    .rows = {},
                    .notes = {"in brackets: 95 % interval, where the sample is large enough"}};
  for (const std::string& phase : known_phases()) {
    const std::vector<double> samples = phase_samples(index, profile, phase);
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

std::vector<Chart> latency_charts(const SpanIndex& index, const Profile& profile) {
  Chart chart{.title = "Latency by phase (server spans)",
              .kind = Chart::Kind::kCdf,
              .x_label = "seconds",
              .y_label = "share of requests",
              .series = {}};
  for (const char* phase : {"queue", "prefill", "ttft", "decode", "e2e"}) {
    std::vector<double> samples = phase_samples(index, profile, phase);
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

std::vector<Waterfall> example_waterfalls(const SpanIndex& index, const Profile& profile,
                                          const std::optional<Matching>& matching) {
  const std::vector<size_t> order = by_duration(index);
  if (order.empty()) return {};
  std::vector<Waterfall> waterfalls;
  const size_t median = order[order.size() / 2];
  const size_t slowest = order.back();
  waterfalls.push_back(
      waterfall_of(index, profile, median, entry_of(matching, median), "A median request"));
  if (slowest != median) {
    waterfalls.push_back(
        waterfall_of(index, profile, slowest, entry_of(matching, slowest), "The slowest request"));
  }
  return waterfalls;
}

}  // namespace touchstone::conformance
