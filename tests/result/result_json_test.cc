#include "result/result_json.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "tests/result/full_report.h"
#include "tests/support/paths.h"

namespace touchstone::result {
namespace {

using nlohmann::json;

TEST(ResultJson, AFullReportIsTheSameAfterARoundTrip) {
  const std::string text = to_json(full_report());
  const auto report = report_from_json("report.json", text);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(to_json(*report), text);
  EXPECT_EQ(report->verdict, Verdict::kFail);
  EXPECT_EQ(*report->provenance.seed, 18446744073709551615ull);
  EXPECT_FALSE(report->budgets[2].measured_s.has_value());
}

RC_GTEST_PROP(ResultJson, AnyTextAndNumberSurvive,
              (const std::string& text, double value, uint64_t seed)) {
  Report report = full_report();
  report.summary = text;
  report.notes = {text};
  report.tables[0].rows[0].values[0].second = value;
  report.provenance.seed = seed;
  const std::string first = to_json(report);
  const auto again = report_from_json("r", first);
  RC_ASSERT(again.has_value());
  RC_ASSERT(to_json(*again) == first);
}

TEST(ResultJson, WhatIsNoNumberBecomesNull) {
  Report report = full_report();
  report.charts[0].series[0].y[1] = std::nan("");
  report.tables[0].rows[0].values[0].second = std::numeric_limits<double>::infinity();
  const auto again = report_from_json("r", to_json(report));
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(std::isnan(again->charts[0].series[0].y[1]));
  EXPECT_TRUE(std::isnan(again->tables[0].rows[0].values[0].second));
}

TEST(ResultJson, EveryTruncationIsAnError) {
  const std::string text = to_json(full_report());
  for (size_t length = 0; length + 2 < text.size(); length += 7) {
    EXPECT_FALSE(report_from_json("r", text.substr(0, length)).has_value()) << length;
  }
}

TEST(ResultJson, EveryRequiredKeyIsAskedForByName) {
  const json full = json::parse(to_json(full_report()));
  for (const char* key : {"schema_version", "title", "verdict", "summary", "provenance"}) {
    json broken = full;
    broken.erase(key);
    const auto report = report_from_json("r.json", broken.dump());
    ASSERT_FALSE(report.has_value()) << key;
    EXPECT_NE(report.error().message.find(key), std::string::npos) << report.error().message;
  }
  const struct {
    const char* pointer;
    json value;
    const char* message;
  } kBad[] = {
      {"/schema_version", 2, "schema_version: got 2, expected 1"},
      {"/verdict", "good", "expected one of: pass, fail, unknown, skip"},
      {"/checks/0/level", "HIGH", "checks[0].level"},
      {"/checks/1/findings/0/count", "two", "checks[1].findings[0].count"},
      {"/tables/0/rows/0/values", json::array({1, 2}), "expected a list of [name, value] pairs"},
      {"/charts/0/series/0/x", json::array({1}), "is not as long as x"},
      {"/charts/0/kind", "pie", "expected one of: line, step, cdf"},
      {"/provenance/seed", -1, "expected a whole number"},
      {"/waterfalls/0/bars/0/depth", -1, "depth: got -1"},
  };
  for (const auto& bad : kBad) {
    json broken = full;
    broken[json::json_pointer(bad.pointer)] = bad.value;
    const auto report = report_from_json("r.json", broken.dump());
    ASSERT_FALSE(report.has_value()) << bad.pointer;
    EXPECT_NE(report.error().message.find(bad.message), std::string::npos)
        << report.error().message;
  }
}

/// What of JSON Schema the report's schema uses: $ref, type, enum, const, required, properties,
/// items, minimum. Adds where `value` breaks it to `problems`.
void validate(const json& root, const json& schema, const json& value, const std::string& where,
              std::vector<std::string>& problems) {
  if (schema.contains("$ref")) {
    const std::string reference = schema["$ref"];
    validate(root, root[json::json_pointer(reference.substr(1))], value, where, problems);
    return;
  }
  const std::string type = value.is_number_integer() ? "integer" : value.type_name();
  if (schema.contains("type")) {
    const json& allowed = schema["type"];
    const auto fits = [&](const std::string& name) {
      return name == type || (name == "number" && type == "integer");
    };
    bool good = allowed.is_string() && fits(allowed);
    for (const json& name : allowed.is_array() ? allowed : json::array()) good |= fits(name);
    if (!good) problems.push_back(where + " is " + type);
  }
  const json words = schema.value("enum", json::array());
  if (!words.empty() && std::find(words.begin(), words.end(), value) == words.end()) {
    problems.push_back(where + " is " + value.dump());
  }
  if (schema.contains("const") && schema["const"] != value) problems.push_back(where);
  const json required = schema.value("required", json::array());
  for (const json& key : required) {
    if (!value.contains(key.get<std::string>())) problems.push_back(where + " lacks " + key.dump());
  }
  const json properties = schema.value("properties", json::object());
  if (value.is_object() && !properties.empty()) {
    for (const auto& [key, item] : value.items()) {
      if (!properties.contains(key)) {
        problems.push_back(where + "/" + key + " is not in the schema");
      } else {
        validate(root, properties[key], item, where + "/" + key, problems);
      }
    }
  }
  if (value.is_array() && schema.contains("items")) {
    for (size_t i = 0; i < value.size(); ++i) {
      validate(root, schema["items"], value[i], where + "/" + std::to_string(i), problems);
    }
  }
}

TEST(ResultJson, AFullReportFitsTheSchemaAndTheSchemaHasNoOtherKeys) {
  const auto text = read_file(support::source_dir() + "/result/report.schema.json");
  ASSERT_TRUE(text.has_value());
  const json schema = json::parse(*text);
  std::vector<std::string> problems;
  json report = json::parse(to_json(full_report()));
  validate(schema, schema, report, "", problems);
  EXPECT_EQ(problems, std::vector<std::string>());
  report["checks"][0]["level"] = "HIGH";
  report["colour"] = "blue";
  validate(schema, schema, report, "", problems);
  EXPECT_EQ(problems.size(), 2u) << "the validator itself finds what is wrong";
}

TEST(Verdicts, FailBeatsUnknownBeatsPassBeatsSkip) {
  const Verdict order[] = {Verdict::kSkip, Verdict::kPass, Verdict::kUnknown, Verdict::kFail};
  for (int a = 0; a < 4; ++a) {
    for (int b = 0; b < 4; ++b) EXPECT_EQ(combine(order[a], order[b]), order[std::max(a, b)]);
  }
}

TEST(Verdicts, NothingDecidedIsUnknown) {
  Report report;
  decide(report, Level::kMust);
  EXPECT_EQ(report.verdict, Verdict::kUnknown);
  EXPECT_EQ(exit_code(report), 3);
  report.checks.push_back({.id = "a",
                           .title = "",
                           .group = "",
                           .level = Level::kMust,
                           .source = "",
                           .verdict = Verdict::kSkip,
                           .reason = "",
                           .examined = 0,
                           .findings = {}});
  decide(report, Level::kMust);
  EXPECT_EQ(exit_code(report), 3);
}

}  // namespace
}  // namespace touchstone::result
