#include "result/result_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/document.h"

namespace touchstone::result {
namespace {

using nlohmann::json;

template <typename E>
using Words = std::vector<std::pair<std::string, E>>;

const Words<Verdict>& verdict_words() {
  static const Words<Verdict> kWords = {{"pass", Verdict::kPass},
                                        {"fail", Verdict::kFail},
                                        {"unknown", Verdict::kUnknown},
                                        {"skip", Verdict::kSkip}};
  return kWords;
}

const Words<Level>& level_words() {
  static const Words<Level> kWords = {
      {"MUST", Level::kMust}, {"SHOULD", Level::kShould}, {"MAY", Level::kMay}};
  return kWords;
}

const Words<Chart::Kind>& chart_words() {
  static const Words<Chart::Kind> kWords = {
      {"line", Chart::Kind::kLine}, {"step", Chart::Kind::kStep}, {"cdf", Chart::Kind::kCdf}};
  return kWords;
}

const char* word_of(Chart::Kind kind) {
  for (const auto& [word, value] : chart_words()) {
    if (value == kind) return word.c_str();
  }
  return "line";
}

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

json from(const Finding& finding) {
  return {{"check_id", finding.check_id}, {"level", to_string(finding.level)},
          {"signal", finding.signal},     {"subject", finding.subject},
          {"message", finding.message},   {"expected", finding.expected},
          {"actual", finding.actual},     {"context", finding.context},
          {"count", finding.count}};
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

json from(const Figure& figure) {
  const auto pair = [](const auto& value) { return json{value.first, number(value.second)}; };
  return {{"name", figure.name}, {"unit", figure.unit}, {"values", list(figure.values, pair)}};
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
          {"kind", word_of(chart.kind)},
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

// Reading.

template <typename T, typename Read>
std::vector<T> read_list(const Fields& fields, const std::string& key, const Read& read) {
  std::vector<T> items;
  for (const Fields& item : fields.objects(key)) items.push_back(read(item));
  return items;
}

Verdict read_verdict(const Fields& fields) {
  (void)fields.required_string("verdict");
  return fields.optional_enum("verdict", verdict_words()).value_or(Verdict::kUnknown);
}

Level read_level(const Fields& fields) {
  (void)fields.required_string("level");
  return fields.optional_enum("level", level_words()).value_or(Level::kMust);
}

std::map<std::string, std::string> read_map(const Fields& fields, const std::string& key) {
  std::map<std::string, std::string> map;
  const Fields object = fields.object(key);
  for (const std::string& name : object.keys()) map[name] = object.required_string(name);
  return map;
}

/// Null stands for a number that JSON cannot say.
double read_number(const Fields& fields, const std::string& key) {
  return fields.optional_double(key).value_or(std::nan(""));
}

std::vector<double> read_numbers(const Fields& fields, const std::string& key) {
  std::vector<double> values;
  const json& items = fields.raw(key);
  if (!items.is_array()) {
    fields.fail(key, "expected a list of numbers");
    return values;
  }
  for (const json& item : items) {
    if (item.is_number()) {
      values.push_back(item.get<double>());
    } else if (item.is_null()) {
      values.push_back(std::nan(""));
    } else {
      fields.fail(key, "expected a list of numbers");
    }
  }
  return values;
}

/// [[name, value], …]; `accept(value)` is false when the value has the wrong type.
template <typename Accept>
void read_pairs(const Fields& fields, const std::string& key, const Accept& accept) {
  const json& items = fields.raw(key);
  bool good = items.is_array();
  for (size_t i = 0; good && i < items.size(); ++i) {
    const json& item = items[i];
    good = item.is_array() && item.size() == 2 && item[0].is_string() &&
           accept(item[0].get<std::string>(), item[1]);
  }
  if (!good) fields.fail(key, "expected a list of [name, value] pairs");
}

Finding read_finding(const Fields& fields) {
  return {.check_id = fields.required_string("check_id"),
          .level = read_level(fields),
          .signal = fields.required_string("signal"),
          .subject = fields.required_string("subject"),
          .message = fields.required_string("message"),
          .expected = fields.required_string("expected"),
          .actual = fields.required_string("actual"),
          .context = read_map(fields, "context"),
          .count = fields.required_int("count")};
}

CheckOutcome read_check(const Fields& fields) {
  return {.id = fields.required_string("id"),
          .title = fields.required_string("title"),
          .group = fields.required_string("group"),
          .level = read_level(fields),
          .source = fields.required_string("source"),
          .verdict = read_verdict(fields),
          .reason = fields.required_string("reason"),
          .examined = fields.required_int("examined"),
          .findings = read_list<Finding>(fields, "findings", read_finding)};
}

CoverageRow read_coverage(const Fields& fields) {
  return {.name_space = fields.required_string("namespace"),
          .attribute = fields.required_string("attribute"),
          .span_type = fields.required_string("span_type"),
          .level = read_level(fields),
          .present = fields.required_int("present"),
          .total = fields.required_int("total")};
}

BudgetRow read_budget(const Fields& fields) {
  return {.phase = fields.required_string("phase"),
          .quantile = read_number(fields, "quantile"),
          .threshold_s = read_number(fields, "threshold_s"),
          .measured_s = fields.optional_double("measured_s"),
          .low_s = fields.optional_double("low_s"),
          .high_s = fields.optional_double("high_s"),
          .confidence = read_number(fields, "confidence"),
          .samples = fields.required_int("samples"),
          .verdict = read_verdict(fields)};
}

Figure read_figure(const Fields& fields) {
  Figure figure{
      .name = fields.required_string("name"), .unit = fields.required_string("unit"), .values = {}};
  read_pairs(fields, "values", [&](const std::string& name, const json& value) {
    if (!value.is_number() && !value.is_null()) return false;
    figure.values.emplace_back(name, value.is_null() ? std::nan("") : value.get<double>());
    return true;
  });
  return figure;
}

FigureTable read_table(const Fields& fields) {
  return {.title = fields.required_string("title"),
          .columns = fields.strings("columns"),
          .rows = read_list<Figure>(fields, "rows", read_figure),
          .notes = fields.strings("notes"),
          .detail = fields.optional_bool("detail").value_or(false)};
}

Series read_series(const Fields& fields) {
  Series series{.name = fields.required_string("name"),
                .x = read_numbers(fields, "x"),
                .y = read_numbers(fields, "y")};
  if (series.x.size() != series.y.size()) fields.fail("y", "is not as long as x");
  return series;
}

Chart read_chart(const Fields& fields) {
  return {.title = fields.required_string("title"),
          .kind = fields.optional_enum("kind", chart_words()).value_or(Chart::Kind::kLine),
          .x_label = fields.required_string("x_label"),
          .y_label = fields.required_string("y_label"),
          .series = read_list<Series>(fields, "series", read_series)};
}

WaterfallBar read_bar(const Fields& fields) {
  WaterfallBar bar{.label = fields.required_string("label"),
                   .start_s = read_number(fields, "start_s"),
                   .end_s = read_number(fields, "end_s"),
                   .depth = static_cast<int>(fields.int_in("depth", 0, 0, 1000)),
                   .attributes = {}};
  read_pairs(fields, "attributes", [&](const std::string& name, const json& value) {
    if (!value.is_string()) return false;
    bar.attributes.emplace_back(name, value.get<std::string>());
    return true;
  });
  return bar;
}

Waterfall read_waterfall(const Fields& fields) {
  return {.title = fields.required_string("title"),
          .bars = read_list<WaterfallBar>(fields, "bars", read_bar)};
}

Sample read_sample(const Fields& fields) {
  return {.title = fields.required_string("title"),
          .prompt = fields.required_string("prompt"),
          .completion = fields.required_string("completion")};
}

Provenance read_provenance(const Fields& fields) {
  Provenance provenance{.tool_version = fields.required_string("tool_version"),
                        .command = fields.required_string("command"),
                        .seed = std::nullopt,
                        .versions = read_map(fields, "versions"),
                        .digests = read_map(fields, "digests")};
  const json& seed = fields.raw("seed");
  if (seed.is_number_unsigned()) {
    provenance.seed = seed.get<uint64_t>();
  } else if (!seed.is_null()) {
    fields.fail("seed", "expected a whole number");
  }
  return provenance;
}

}  // namespace

std::string to_json(const Report& report) {
  const auto convert = [](const auto& item) { return from(item); };
  const json tree = {{"schema_version", kSchemaVersion},
                     {"title", report.title},
                     {"verdict", to_string(report.verdict)},
                     {"fail_on", to_string(report.fail_on)},
                     {"summary", report.summary},
                     {"checks", list(report.checks, convert)},
                     {"coverage", list(report.coverage, convert)},
                     {"budgets", list(report.budgets, convert)},
                     {"tables", list(report.tables, convert)},
                     {"charts", list(report.charts, convert)},
                     {"waterfalls", list(report.waterfalls, convert)},
                     {"samples", list(report.samples, convert)},
                     {"notes", report.notes},
                     {"provenance", from(report.provenance)}};
  // Telemetry may hold bytes that are no UTF-8; the report must still be readable.
  return tree.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<Report> report_from_json(const std::string& name, std::string_view text) {
  Result<Document> document = Document::parse_json(name, text);
  if (!document) return std::move(document).error();
  const Fields root = document->root();
  const int64_t version = root.required_int("schema_version");
  if (version != kSchemaVersion) {
    root.fail("schema_version",
              "got " + std::to_string(version) + ", expected " + std::to_string(kSchemaVersion));
  }
  Report report{.title = root.required_string("title"),
                .verdict = read_verdict(root),
                .fail_on = root.optional_enum("fail_on", level_words()).value_or(Level::kMust),
                .summary = root.required_string("summary"),
                .checks = read_list<CheckOutcome>(root, "checks", read_check),
                .coverage = read_list<CoverageRow>(root, "coverage", read_coverage),
                .budgets = read_list<BudgetRow>(root, "budgets", read_budget),
                .tables = read_list<FigureTable>(root, "tables", read_table),
                .charts = read_list<Chart>(root, "charts", read_chart),
                .waterfalls = read_list<Waterfall>(root, "waterfalls", read_waterfall),
                .samples = read_list<Sample>(root, "samples", read_sample),
                .notes = root.strings("notes"),
                .provenance = read_provenance(root.required_object("provenance"))};
  document->ignore_unknown_keys();
  RETURN_IF_ERROR(document->finish());
  return report;
}

}  // namespace touchstone::result
