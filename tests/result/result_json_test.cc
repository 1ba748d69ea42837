#include "result/result_json.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/result/full_report.h"
#include "tests/support/json_schema.h"

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
  report.tables[0].rows[0].values[0].value = value;
  report.provenance.seed = seed;
  const std::string first = to_json(report);
  const auto again = report_from_json("r", first);
  RC_ASSERT(again.has_value());
  RC_ASSERT(to_json(*again) == first);
}

TEST(ResultJson, WhatIsNoNumberBecomesNull) {
  Report report = full_report();
  report.charts[0].series[0].y[1] = std::nan("");
  report.tables[0].rows[0].values[0].value = std::numeric_limits<double>::infinity();
  const auto again = report_from_json("r", to_json(report));
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(std::isnan(again->charts[0].series[0].y[1]));
  EXPECT_TRUE(std::isnan(again->tables[0].rows[0].values[0].value));
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
      {"/schema_version", 1, "schema_version: got 1, expected 2"},
      {"/verdict", "good", "expected one of: pass, fail, unknown, skip"},
      {"/checks/0/level", "HIGH", "checks[0].level"},
      {"/checks/1/findings/0/count", "two", "checks[1].findings[0].count"},
      {"/waterfalls/0/bars/0/attributes", json::array({1, 2}),
       "expected a list of [name, value] pairs"},
      {"/tables/0/rows/0/values/0/column", 1, "values[0].column"},
      {"/comparisons/0/rows/0/change", "odd", "expected one of: better, same, worse, unknown"},
      {"/checks/1/findings/0/places/0/input/line", -1, "line: got -1"},
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

constexpr char kSchema[] = "result/report.schema.json";

TEST(ReportSchema, AFullReportFitsAndTheSchemaHasNoOtherKeys) {
  json report = json::parse(to_json(full_report()));
  report["provenance"]["seed"] = 7;  // the validator takes numbers beyond 2^63 for negative ones
  EXPECT_EQ(support::schema_problems(kSchema, report), std::vector<std::string>());
  // Every object of the schema is closed, so a key that is written and not described is found.
  for (const char* pointer : {"", "/checks/0", "/checks/1/findings/0", "/budgets/0", "/tables/0",
                              "/comparisons/0/rows/0", "/provenance"}) {
    json odd = report;
    odd[json::json_pointer(pointer)]["colour"] = "blue";
    EXPECT_NE(support::schema_problems(kSchema, odd), std::vector<std::string>()) << pointer;
  }
}

TEST(ReportSchema, WrongValuesAreFound) {
  const json report = json::parse(to_json(full_report()));
  const std::pair<const char*, json> bad[] = {{"/checks/0/level", "HIGH"},
                                              {"/verdict", "good"},
                                              {"/schema_version", 1},
                                              {"/checks/1/findings/0/count", 0},
                                              {"/tables/0/rows/0/values/0/column", 1},
                                              {"/comparisons/0/rows/0/change", "odd"}};
  for (const auto& [pointer, value] : bad) {
    json broken = report;
    broken[json::json_pointer(pointer)] = value;
    EXPECT_NE(support::schema_problems(kSchema, broken), std::vector<std::string>()) << pointer;
  }
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
