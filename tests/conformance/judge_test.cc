// Budgets, suppressions, levels, several profiles: what judge() makes of the checks.
#include <gtest/gtest.h>

#include "conformance/budgets.h"
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

TEST(Budgets, EveryPhaseCanBeReadFromVllmSpans) {
  const Evidence evidence = recorded_evidence();
  const Profile profile = vllm_v1();
  const SpanIndex index(evidence.spans, profile);
  for (const std::string& phase : known_phases()) {
    const size_t expected = phase == "tpot" ? 71 : 72;  // one completion has a single token
    EXPECT_EQ(phase_samples(index, profile, phase).size(), expected) << phase;
  }
  EXPECT_TRUE(phase_samples(index, profile, "nonsense").empty());
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
                           .expires_unix_ns = std::nullopt,
                           .where = "suite.yaml:3"}};
  const result::Report report = judge(with_unknown_key(), {vllm_v1()}, options);
  EXPECT_EQ(report.verdict, Verdict::kPass) << findings_text(report);
  ASSERT_FALSE(report.notes.empty());
  EXPECT_NE(report.notes[0].find("we added it"), std::string::npos);
}

TEST(Suppressions, AStaleOneFails) {
  JudgeOptions options;
  options.suppressions = {{.check_id = "span.kind",
                           .subject = "",
                           .reason = "old",
                           .expires_unix_ns = std::nullopt,
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

}  // namespace
}  // namespace touchstone::conformance
