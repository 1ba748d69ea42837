#include <cmath>
#include <nlohmann/json.hpp>

#include "base/document.h"
#include "result/result_json.h"

namespace touchstone::result {
namespace {

using nlohmann::json;

/// The words of an enumeration whose last value is `last`, as to_string() writes them.
template <typename E>
std::vector<std::pair<std::string, E>> words_until(E last) {
  std::vector<std::pair<std::string, E>> words;
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    words.emplace_back(to_string(static_cast<E>(i)), static_cast<E>(i));
  }
  return words;
}

template <typename T, typename Read>
std::vector<T> read_list(const Fields& fields, const std::string& key, const Read& read) {
  std::vector<T> items;
  for (const Fields& item : fields.objects(key)) items.push_back(read(item));
  return items;
}

Verdict read_verdict(const Fields& fields) {
  (void)fields.required_string("verdict");
  return fields.optional_enum("verdict", words_until(Verdict::kSkip)).value_or(Verdict::kUnknown);
}

Level read_level(const Fields& fields) {
  (void)fields.required_string("level");
  return fields.optional_enum("level", words_until(Level::kMay)).value_or(Level::kMust);
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

Location read_location(const Fields& fields) {
  return {.file = fields.optional_string("file").value_or(""),
          .line = fields.int_in("line", 0, 0, INT64_MAX)};
}

Place read_place(const Fields& fields) {
  return {.trace_id = fields.optional_string("trace_id").value_or(""),
          .span_id = fields.optional_string("span_id").value_or(""),
          .request = fields.optional_string("request").value_or(""),
          .input = read_location(fields.object("input"))};
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
          .count = fields.required_int("count"),
          .places = read_list<Place>(fields, "places", read_place),
          .rule = read_location(fields.object("rule"))};
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

Sighting read_sighting(const Fields& fields) {
  return {.attribute = fields.required_string("attribute"),
          .span_type = fields.required_string("span_type"),
          .group = fields.required_string("group"),
          .level = read_level(fields),
          .present = fields.required_int("present"),
          .total = fields.required_int("total"),
          .first_seen_unix_ns = fields.optional_int("first_seen_unix_ns"),
          .last_seen_unix_ns = fields.optional_int("last_seen_unix_ns"),
          .missing_in = fields.strings("missing_in")};
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

std::optional<Interval> read_interval(const Fields& fields) {
  if (!fields.raw("interval").is_object()) return std::nullopt;
  const Fields interval = fields.object("interval");
  return Interval{.low = read_number(interval, "low"),
                  .high = read_number(interval, "high"),
                  .confidence = read_number(interval, "confidence")};
}

Cell read_cell(const Fields& fields) {
  return {.column = fields.required_string("column"),
          .value = read_number(fields, "value"),
          .interval = read_interval(fields)};
}

Figure read_figure(const Fields& fields) {
  return {.name = fields.required_string("name"),
          .unit = fields.required_string("unit"),
          .values = read_list<Cell>(fields, "values", read_cell)};
}

Comparison read_comparison(const Fields& fields) {
  using Better = Comparison::Better;
  using Change = Comparison::Change;
  return {
      .name = fields.required_string("name"),
      .unit = fields.required_string("unit"),
      .better =
          fields.optional_enum("better", words_until(Better::kEqual)).value_or(Better::kLower),
      .baseline = read_number(fields, "baseline"),
      .value = read_number(fields, "value"),
      .difference = fields.optional_double("difference"),
      .interval = read_interval(fields),
      .change =
          fields.optional_enum("change", words_until(Change::kUnknown)).value_or(Change::kUnknown)};
}

ComparisonTable read_comparisons(const Fields& fields) {
  return {.title = fields.required_string("title"),
          .baseline = fields.required_string("baseline"),
          .value = fields.required_string("value"),
          .rows = read_list<Comparison>(fields, "rows", read_comparison),
          .notes = fields.strings("notes")};
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
  return {
      .title = fields.required_string("title"),
      .kind =
          fields.optional_enum("kind", words_until(Chart::Kind::kCdf)).value_or(Chart::Kind::kLine),
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

std::map<std::string, double> read_figures(const Fields& root) {
  std::map<std::string, double> figures;
  const Fields object = root.object("figures");
  for (const std::string& key : object.keys()) {
    figures[key] = object.optional_double(key).value_or(std::nan(""));  // null: no number
  }
  return figures;
}

}  // namespace

Result<Report> report_from_json(const std::string& name, std::string_view text) {
  Result<Document> document = Document::parse_json(name, text);
  if (!document) return std::move(document).error();
  const Fields root = document->root();
  const int64_t version = root.required_int("schema_version");
  if (version != kSchemaVersion) {
    root.fail("schema_version",
              "got " + std::to_string(version) + ", expected " + std::to_string(kSchemaVersion));
  }
  Report report{
      .title = root.required_string("title"),
      .verdict = read_verdict(root),
      .fail_on = root.optional_enum("fail_on", words_until(Level::kMay)).value_or(Level::kMust),
      .summary = root.required_string("summary"),
      .checks = read_list<CheckOutcome>(root, "checks", read_check),
      .coverage = read_list<CoverageRow>(root, "coverage", read_coverage),
      .sightings = root.has("sightings") ? read_list<Sighting>(root, "sightings", read_sighting)
                                         : std::vector<Sighting>(),
      .budgets = read_list<BudgetRow>(root, "budgets", read_budget),
      .tables = read_list<FigureTable>(root, "tables", read_table),
      .figures = read_figures(root),
      .comparisons = read_list<ComparisonTable>(root, "comparisons", read_comparisons),
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
