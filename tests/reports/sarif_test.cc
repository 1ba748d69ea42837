// SARIF as code scanning reads it, held against the standard's schema.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "reports/reports.h"
#include "tests/result/full_report.h"
#include "tests/support/json_schema.h"

namespace touchstone::reports {
namespace {

using nlohmann::json;
using result::full_report;
using result::Report;

constexpr char kSchemaFile[] = "fixtures/schemas/sarif-2.1.0.json";

std::string problems(const std::string& sarif) {
  return join(support::schema_problems(kSchemaFile, json::parse(sarif)), "\n");
}

TEST(Sarif, IsValidAgainstTheStandardsSchema) {
  EXPECT_EQ(problems(to_sarif(full_report())), "");
  EXPECT_EQ(problems(to_sarif(Report())), "") << "a report without anything";
}

TEST(Sarif, TheSchemaRefusesWhatIsNoSarif) {
  json sarif = json::parse(to_sarif(full_report()));
  sarif["runs"][0]["results"][0]["level"] = "fatal";
  EXPECT_NE(problems(sarif.dump()), "");
}

TEST(Sarif, EachFindingPointsToItsRuleAndToTheLineThatDemandsIt) {
  const json run = json::parse(to_sarif(full_report()))["runs"][0];
  ASSERT_EQ(run["results"].size(), 3u) << "two findings, one missed budget";
  const json& missing = run["results"][0];
  EXPECT_EQ(missing["ruleId"], "span.attribute.required");
  EXPECT_EQ(run["tool"]["driver"]["rules"][missing["ruleIndex"].get<size_t>()]["id"],
            "span.attribute.required");
  EXPECT_EQ(missing["level"], "error");
  EXPECT_EQ(missing["occurrenceCount"], 2);
  const json& place = missing["locations"][0]["physicalLocation"];
  EXPECT_EQ(place["artifactLocation"]["uri"], "vllm-v1.yaml");
  EXPECT_EQ(place["region"]["startLine"], 40);
  EXPECT_EQ(missing["relatedLocations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            "spans.jsonl");
  EXPECT_EQ(run["results"][1]["level"], "warning") << "a SHOULD where only a MUST fails";
  EXPECT_EQ(run["results"][2]["ruleId"], "budget");
  for (const json& each : run["results"]) {
    EXPECT_TRUE(each["locations"][0].contains("physicalLocation")) << each;
  }
}

TEST(Sarif, WhatIsUndecidedIsToldAndTheRunIsNoSuccessThen) {
  Report report = full_report();
  report.checks.erase(report.checks.begin() + 1);
  report.budgets.clear();
  result::decide(report, result::Level::kMust);
  const json invocation = json::parse(to_sarif(report))["runs"][0]["invocations"][0];
  EXPECT_FALSE(invocation["executionSuccessful"].get<bool>());
  EXPECT_EQ(invocation["exitCode"], 3);
  EXPECT_EQ(invocation["toolExecutionNotifications"][0]["associatedRule"]["id"], "collector.loss");
}

TEST(Sarif, AFingerprintOutlivesTracesAndCounts) {
  Report other = full_report();
  result::Finding& finding = other.checks[1].findings[0];
  finding.count = 77;
  finding.places = {{.trace_id = "1", .span_id = "2", .request = "", .input = {"later.jsonl", 9}}};
  finding.actual = "another";
  const auto print = [](const Report& report) {
    return json::parse(to_sarif(report))["runs"][0]["results"][0]["partialFingerprints"];
  };
  EXPECT_EQ(print(other), print(full_report()));
  finding.rule.line = 41;
  EXPECT_NE(print(other), print(full_report()));
}

RC_GTEST_PROP(Sarif, IsSarifWhateverTheTelemetryHolds, (const std::string& text)) {
  Report report = full_report();
  report.title = report.checks[1].title = report.checks[1].group = text;
  report.checks[1].findings[0].message = text;
  report.checks[1].findings[0].rule.file = text;
  report.checks[1].findings[0].context["places"] = text;
  RC_ASSERT(problems(to_sarif(report)).empty());
}

}  // namespace
}  // namespace touchstone::reports
