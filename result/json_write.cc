#include <cmath>
#include <nlohmann/json.hpp>

#include "result/result_json.h"

namespace touchstone::result {
namespace {

using nlohmann::json;

json number(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }
json number(const std::optional<double>& value) { return value ? number(*value) : json(nullptr); }

template <typename Items, typename Convert>
json list(const Items& items, const Convert& convert) {
  json result = json::array();
  for (const auto& item : items) result.push_back(convert(item));
  return result;
}

json numbers(const std::vector<double>& values) {
  return list(values, [](double value) { return number(value); });
}

/// Only what is known: a report may hold many places.
json from(const Location& location) {
  json result = json::object();
  if (!location.file.empty()) result["file"] = location.file;
  if (location.line > 0) result["line"] = location.line;
  return result;
}

json from(const Place& place) {
  json result = json::object();
  if (!place.trace_id.empty()) result["trace_id"] = place.trace_id;
  if (!place.span_id.empty()) result["span_id"] = place.span_id;
  if (!place.request.empty()) result["request"] = place.request;
  if (!place.input.file.empty()) result["input"] = from(place.input);
  return result;
}

json from(const Finding& finding) {
  return {{"check_id", finding.check_id},
          {"level", to_string(finding.level)},
          {"signal", finding.signal},
          {"subject", finding.subject},
          {"message", finding.message},
          {"expected", finding.expected},
          {"actual", finding.actual},
          {"context", finding.context},
          {"count", finding.count},
          {"places", list(finding.places, [](const Place& item) { return from(item); })},
          {"rule", from(finding.rule)}};
}

json from(const CheckOutcome& check) {
  return {{"id", check.id},
          {"title", check.title},
          {"group", check.group},
          {"level", to_string(check.level)},
          {"source", check.source},
          {"verdict", to_string(check.verdict)},
          {"reason", check.reason},
          {"examined", check.examined},
          {"findings", list(check.findings, [](const Finding& item) { return from(item); })}};
}

json from(const CoverageRow& row) {
  return {{"namespace", row.name_space}, {"attribute", row.attribute},
          {"span_type", row.span_type},  {"level", to_string(row.level)},
          {"present", row.present},      {"total", row.total}};
}

json from(const Sighting& row) {
  json tree = {{"attribute", row.attribute},    {"span_type", row.span_type}, {"group", row.group},
               {"level", to_string(row.level)}, {"present", row.present},     {"total", row.total},
               {"missing_in", row.missing_in}};
  if (row.first_seen_unix_ns) tree["first_seen_unix_ns"] = *row.first_seen_unix_ns;
  if (row.last_seen_unix_ns) tree["last_seen_unix_ns"] = *row.last_seen_unix_ns;
  return tree;
}

json from(const BudgetRow& row) {
  return {{"phase", row.phase},
          {"quantile", number(row.quantile)},
          {"threshold_s", number(row.threshold_s)},
          {"measured_s", number(row.measured_s)},
          {"low_s", number(row.low_s)},
          {"high_s", number(row.high_s)},
          {"confidence", number(row.confidence)},
          {"samples", row.samples},
          {"verdict", to_string(row.verdict)}};
}

json from(const std::optional<Interval>& interval) {
  if (!interval) return nullptr;
  return {{"low", number(interval->low)},
          {"high", number(interval->high)},
          {"confidence", number(interval->confidence)}};
}

json from(const Cell& cell) {
  json result = {{"column", cell.column}, {"value", number(cell.value)}};
  if (cell.interval) result["interval"] = from(cell.interval);
  return result;
}

json from(const Figure& figure) {
  return {{"name", figure.name},
          {"unit", figure.unit},
          {"values", list(figure.values, [](const Cell& item) { return from(item); })}};
}

json from(const Comparison& row) {
  return {{"name", row.name},
          {"unit", row.unit},
          {"better", to_string(row.better)},
          {"baseline", number(row.baseline)},
          {"value", number(row.value)},
          {"difference", number(row.difference)},
          {"interval", from(row.interval)},
          {"change", to_string(row.change)}};
}

json from(const ComparisonTable& table) {
  return {{"title", table.title},
          {"baseline", table.baseline},
          {"value", table.value},
          {"rows", list(table.rows, [](const Comparison& item) { return from(item); })},
          {"notes", table.notes}};
}

json from(const FigureTable& table) {
  return {{"title", table.title},
          {"columns", table.columns},
          {"rows", list(table.rows, [](const Figure& item) { return from(item); })},
          {"notes", table.notes},
          {"detail", table.detail}};
}

json from(const Series& series) {
  return {{"name", series.name}, {"x", numbers(series.x)}, {"y", numbers(series.y)}};
}

json from(const Chart& chart) {
  return {{"title", chart.title},
          {"kind", to_string(chart.kind)},
          {"x_label", chart.x_label},
          {"y_label", chart.y_label},
          {"series", list(chart.series, [](const Series& item) { return from(item); })}};
}

json from(const WaterfallBar& bar) {
  const auto pair = [](const auto& value) { return json{value.first, value.second}; };
  return {{"label", bar.label},
          {"start_s", number(bar.start_s)},
          {"end_s", number(bar.end_s)},
          {"depth", bar.depth},
          {"attributes", list(bar.attributes, pair)}};
}

json from(const Waterfall& waterfall) {
  return {{"title", waterfall.title},
          {"bars", list(waterfall.bars, [](const WaterfallBar& item) { return from(item); })}};
}

json from(const Sample& sample) {
  return {{"title", sample.title}, {"prompt", sample.prompt}, {"completion", sample.completion}};
}

json from(const Provenance& provenance) {
  json result = {{"tool_version", provenance.tool_version},
                 {"command", provenance.command},
                 {"versions", provenance.versions},
                 {"digests", provenance.digests}};
  result["seed"] = provenance.seed ? json(*provenance.seed) : json(nullptr);
  return result;
}

}  // namespace

std::string to_json(const Report& report) {
  const auto convert = [](const auto& item) { return from(item); };
  json tree = {{"schema_version", kSchemaVersion},
               {"title", report.title},
               {"verdict", to_string(report.verdict)},
               {"fail_on", to_string(report.fail_on)},
               {"summary", report.summary},
               {"checks", list(report.checks, convert)},
               {"coverage", list(report.coverage, convert)},
               {"budgets", list(report.budgets, convert)},
               {"tables", list(report.tables, convert)},
               {"comparisons", list(report.comparisons, convert)},
               {"charts", list(report.charts, convert)},
               {"waterfalls", list(report.waterfalls, convert)},
               {"samples", list(report.samples, convert)},
               {"notes", report.notes},
               {"provenance", from(report.provenance)}};
  if (!report.sightings.empty()) tree["sightings"] = list(report.sightings, convert);
  if (!report.figures.empty()) {
    json& figures = tree["figures"] = json::object();
    for (const auto& [name, value] : report.figures) figures[name] = number(value);
  }
  // Telemetry may hold bytes that are no UTF-8; the report must still be readable.
  return tree.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace touchstone::result
