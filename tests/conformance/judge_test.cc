// Budgets, suppressions, levels, several profiles: what judge() makes of the checks.
#include <gtest/gtest.h>

#include "base/text.h"
#include "conformance/budgets.h"
#include "conformance/checks/check.h"
#include "tests/conformance/recorded.h"

namespace touchstone::conformance {
namespace {

using result::Level;
using result::Verdict;

Budget budget(double threshold_s, int64_t min_samples = 1) {
  return {.phase = "e2e",
          .quantile = 0.5,
          .threshold_s = threshold_s,
          .confidence = 0.95,
          .min_samples = min_samples};
}

/// 1, 2, …, 100: the median's 95 % interval by order statistics is about [40, 61].
std::vector<double> hundred() {
  std::vector<double> values;
  for (int i = 1; i <= 100; ++i) values.push_back(i);
  return values;
}

TEST(Budgets, TheIntervalDecides) {
  EXPECT_EQ(judge_budget(budget(70), hundred()).verdict, Verdict::kPass);
  EXPECT_EQ(judge_budget(budget(30), hundred()).verdict, Verdict::kFail);
  EXPECT_EQ(judge_budget(budget(50), hundred()).verdict, Verdict::kUnknown);
}

TEST(Budgets, TooFewSamplesAreUnknown) {
  const result::BudgetRow none = judge_budget(budget(1), {});
  EXPECT_EQ(none.verdict, Verdict::kUnknown);
  EXPECT_FALSE(none.measured_s.has_value());
  const result::BudgetRow two = judge_budget(budget(1e9), {1, 2});
  EXPECT_EQ(two.verdict, Verdict::kUnknown);
  EXPECT_TRUE(two.measured_s.has_value());
  EXPECT_FALSE(two.low_s.has_value());
  EXPECT_EQ(judge_budget(budget(70, 101), hundred()).verdict, Verdict::kUnknown);
}

TEST(Budgets, AnExceededOneFailsTheReportAndAnUndecidedOneLeavesItOpen) {
  const Evidence evidence = recorded_evidence();
  const auto verdict_with = [&](double threshold_s) {
    JudgeOptions options;
    options.budgets = {budget(threshold_s)};
    return judge(evidence, {vllm_v1()}, options).verdict;
  };
  EXPECT_EQ(verdict_with(10), Verdict::kPass);
  EXPECT_EQ(verdict_with(0.001), Verdict::kFail);
  // The recorded median e2e is 0.118 s.
  EXPECT_EQ(verdict_with(0.1184), Verdict::kUnknown);
}

TEST(Budgets, EverySampleOverItFailsHoweverFewThereAre) {
  const std::vector<double> slow(10, 2.0);
  Budget p90 = budget(1);
  p90.quantile = 0.9;
  EXPECT_EQ(judge_budget(p90, slow).verdict, Verdict::kFail);
  EXPECT_EQ(samples_needed(p90), 29);
  EXPECT_EQ(samples_to_fail(p90), 2);
  EXPECT_EQ(judge_budget(p90, {2.0}).verdict, Verdict::kUnknown);
  EXPECT_EQ(judge_budget(p90, {2.0, 2.0}).verdict, Verdict::kFail);
  p90.min_samples = 3;
  EXPECT_EQ(samples_to_fail(p90), 3);
  EXPECT_EQ(judge_budget(p90, {2.0, 2.0}).verdict, Verdict::kUnknown);
  EXPECT_EQ(judge_budget(p90, std::vector<double>(28, 0.5)).verdict, Verdict::kUnknown);
  EXPECT_EQ(judge_budget(p90, std::vector<double>(29, 0.5)).verdict, Verdict::kPass);
}

TEST(Budgets, WhoWasNotAnsweredIsOverEveryBudget) {
  Evidence evidence = recorded_evidence();
  JudgeOptions options;
  options.budgets = {budget(10)};
  EXPECT_EQ(judge(evidence, {vllm_v1()}, options).budgets[0].verdict, Verdict::kPass);
  for (int i = 0; i < 200; ++i) {
    records::LedgerEntry lost;
    lost.index = 1000 + i;
    lost.outcome = records::ClientOutcome::kFailed;
    evidence.ledger->push_back(lost);
  }
  const result::Report report = judge(evidence, {vllm_v1()}, options);
  EXPECT_EQ(report.budgets[0].verdict, Verdict::kFail);
  EXPECT_EQ(report.budgets[0].samples, 272);
  EXPECT_FALSE(report.budgets[0].measured_s.has_value()) << "more than half are infinite";
}

TEST(Budgets, EveryPhaseCanBeReadFromVllmSpans) {
  const result::Report report = judge(recorded_evidence(), {vllm_v1()}, {});
  for (const result::FigureTable& table : report.tables) {
    if (table.title != "Latency by phase, from spans") continue;
    ASSERT_EQ(table.rows.size(), known_phases().size());
    for (size_t i = 0; i < table.rows.size(); ++i) {
      EXPECT_EQ(table.rows[i].name, known_phases()[i]);
    }
    return;
  }
  ADD_FAILURE() << "no latency table";
}

/// The recording with one unknown key: a SHOULD finding.
Evidence with_unknown_key() {
  Evidence evidence = recorded_evidence();
  evidence.spans[0][0].scope_spans[0].spans[0].attributes.push_back({"x.y", 1});
  return evidence;
}

TEST(Levels, AShouldFailsOnlyWhenAskedFor) {
  const Evidence evidence = with_unknown_key();
  const result::Report lenient = judge(evidence, {vllm_v1()}, {});
  EXPECT_EQ(lenient.verdict, Verdict::kPass);
  EXPECT_EQ(outcome_of(lenient, "span.attribute.unknown").verdict, Verdict::kFail);
  EXPECT_FALSE(fails_report(outcome_of(lenient, "span.attribute.unknown"), lenient));
  JudgeOptions options;
  options.fail_on = Level::kShould;
  EXPECT_EQ(judge(evidence, {vllm_v1()}, options).verdict, Verdict::kFail);
}

TEST(Suppressions, AUsedOneHidesAndIsNoted) {
  JudgeOptions options;
  options.fail_on = Level::kShould;
  options.suppressions = {{.check_id = "span.attribute.unknown",
                           .subject = "x.y",
                           .reason = "we added it",
                           .expires_unix_ns = INT64_MAX,
                           .at_most = std::nullopt,
                           .where = "suite.yaml:3"}};
  const result::Report report = judge(with_unknown_key(), {vllm_v1()}, options);
  EXPECT_EQ(report.verdict, Verdict::kPass) << findings_text(report);
  EXPECT_NE(join(report.notes, "\n").find("we added it"), std::string::npos);
}

TEST(Suppressions, AStaleOneFails) {
  JudgeOptions options;
  options.suppressions = {{.check_id = "span.kind",
                           .subject = "",
                           .reason = "old",
                           .expires_unix_ns = INT64_MAX,
                           .at_most = std::nullopt,
                           .where = "suite.yaml:3"}};
  const result::Report report = judge(recorded_evidence(), {vllm_v1()}, options);
  EXPECT_EQ(report.verdict, Verdict::kFail);
  EXPECT_EQ(outcome_of(report, "suppression.needed").findings[0].context.at("where"),
            "suite.yaml:3");
}

TEST(Profiles, TwoAreToldApart) {
  Profile strict = vllm_v1();
  strict.name = "strict";
  strict.spans[0].kind = telemetry::SpanKind::kClient;
  const result::Report report = judge(recorded_evidence(), {vllm_v1(), strict}, {});
  EXPECT_EQ(report.verdict, Verdict::kFail);
  int64_t failed = 0;
  for (const result::CheckOutcome& check : report.checks) {
    if (check.verdict != Verdict::kFail) continue;
    ++failed;
    EXPECT_EQ(check.title, "Span kinds [strict]");
    EXPECT_EQ(check.findings[0].context.at("profile"), "strict");
  }
  EXPECT_EQ(failed, 1);
}

TEST(Profiles, ChecksOfTheRunAreMadeOnce) {
  Evidence evidence = recorded_evidence();
  evidence.span_problems = {"spans.jsonl:2: cut short"};
  Profile other = vllm_v1();
  other.name = "other";
  const result::Report report = judge(evidence, {vllm_v1(), other}, {});
  std::map<std::string, int> times;
  for (const result::CheckOutcome& check : report.checks) ++times[check.id];
  for (const char* id : {"input.received", "input.readable", "request.answered", "span.known_type",
                         "collector.loss", "suppression.needed", "span.id.unique"}) {
    EXPECT_EQ(times[id], 1) << id;
  }
  EXPECT_EQ(times["span.kind"], 2);
}

TEST(Profiles, BudgetsAreThoseOfThePrimaryProfile) {
  Profile milliseconds = vllm_v1();
  milliseconds.name = "ms";
  for (AttributeRule& rule : milliseconds.spans[0].attributes) {
    if (rule.unit == "s") rule.unit = "ms";
  }
  JudgeOptions options;
  options.budgets = {budget(0.01)};
  const std::vector<Profile> profiles = {vllm_v1(), milliseconds};
  EXPECT_EQ(judge(recorded_evidence(), profiles, options).budgets.at(0).verdict, Verdict::kFail);
  options.primary = "ms";
  const result::Report report = judge(recorded_evidence(), profiles, options);
  ASSERT_EQ(report.budgets.size(), 1u);
  EXPECT_EQ(report.budgets[0].verdict, Verdict::kPass) << "a thousandth of what vllm-v1 reads";
}

TEST(Profiles, TheirTextsAreInTheProvenance) {
  const result::Report report = judge(recorded_evidence(), {vllm_v1()}, {});
  const auto digest = report.provenance.digests.find("profile vllm-v1.yaml");
  ASSERT_NE(digest, report.provenance.digests.end());
  EXPECT_EQ(digest->second.size(), 64u);
}

TEST(Findings, EqualOnesAreFoldedAndPlacesAreBounded) {
  Evidence evidence = recorded_evidence();
  telemetry::ScopeSpans& scoped = evidence.spans[0][0].scope_spans[0];
  const telemetry::Span model = scoped.spans[0];
  evidence.ledger.reset();
  for (int i = 0; i < 150; ++i) {
    telemetry::Span span = model;
    span.kind = telemetry::SpanKind::kInternal;
    span.span_id.bytes[7] = static_cast<uint8_t>(i);
    span.span_id.bytes[6] = 0xEE;
    scoped.spans.push_back(std::move(span));
  }
  const result::Report report = judge(evidence, {vllm_v1()}, {});
  const result::CheckOutcome& check = outcome_of(report, "span.kind");
  ASSERT_EQ(check.findings.size(), 1u);
  EXPECT_EQ(check.findings[0].count, 150);
  EXPECT_EQ(check.findings[0].places.size(), 100u);
}

TEST(Findings, AreBoundedAndAllAreCounted) {
  Evidence evidence = recorded_evidence();
  telemetry::ScopeSpans& scoped = evidence.spans[0][0].scope_spans[0];
  const telemetry::Span model = scoped.spans[0];
  evidence.ledger.reset();
  for (int i = 0; i < 250; ++i) {
    telemetry::Span span = model;
    span.name = "invented " + std::to_string(i);
    span.span_id.bytes[7] = static_cast<uint8_t>(i);
    span.span_id.bytes[6] = 0xEE;
    scoped.spans.push_back(std::move(span));
  }
  const result::Report report = judge(evidence, {vllm_v1()}, {});
  const result::CheckOutcome& check = outcome_of(report, "span.known_type");
  ASSERT_EQ(check.findings.size(), Recorder::kFindingsMax + 1);
  EXPECT_EQ(check.findings.back().count, 150);
  EXPECT_NE(check.findings.back().message.find("150 violations more"), std::string::npos);
  EXPECT_EQ(check.reason, "250 violations");
}

TEST(Findings, WhatASuppressionCoversIsCountedBeyondTheListedOnesToo) {
  Evidence evidence = recorded_evidence();
  telemetry::Attributes& attributes = evidence.spans[0][0].scope_spans[0].spans[0].attributes;
  for (int i = 0; i < 150; ++i) attributes.push_back({"x." + std::to_string(i), i});
  JudgeOptions options;
  options.fail_on = Level::kShould;
  options.suppressions = {{.check_id = "span.attribute.unknown",
                           .subject = "attribute x.",
                           .reason = "we added them",
                           .expires_unix_ns = INT64_MAX,
                           .at_most = 150,
                           .where = "suite.yaml:3"}};
  EXPECT_EQ(judge(evidence, {vllm_v1()}, options).verdict, Verdict::kPass);
  options.suppressions[0].at_most = 149;
  EXPECT_EQ(judge(evidence, {vllm_v1()}, options).verdict, Verdict::kFail);
}

TEST(Suppressions, TheLevelIsThatOfWhatIsLeft) {
  Evidence evidence = with_unknown_key();
  Profile profile = vllm_v1();
  profile.spans[0].attributes[0].level = Level::kShould;
  profile.spans[0].attributes[0].max = 0;  // all 72 are above it
  profile.spans[0].attributes[1].max = 0;
  JudgeOptions options;
  options.suppressions = {{.check_id = "span.attribute.range",
                           .subject = "gen_ai.latency.e2e",
                           .reason = "known",
                           .expires_unix_ns = INT64_MAX,
                           .at_most = std::nullopt,
                           .where = "suite.yaml:3"}};
  const result::Report report = judge(evidence, {profile}, options);
  EXPECT_EQ(outcome_of(report, "span.attribute.range").level, Level::kShould);
  EXPECT_EQ(report.verdict, Verdict::kPass);
}

}  // namespace
}  // namespace touchstone::conformance
