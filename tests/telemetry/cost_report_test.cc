#include "telemetry/cost/cost_report.h"

#include <gtest/gtest.h>

#include "telemetry/cost/gpu_hours.h"
#include "telemetry/dialects/dialect.h"
#include "tests/support/paths.h"

namespace touchstone::telemetry {
namespace {

const std::string kPrices = support::source_dir() + "/fixtures/prices/per-thousand-tokens.yaml";

std::vector<records::RequestRecord> requests() {
  std::vector<records::RequestRecord> made;
  for (int i = 0; i < 30; ++i) {
    records::RequestRecord& record = made.emplace_back();
    record.request_id = "cmpl-" + std::to_string(i) + "-0";
    record.endpoint = "/v1/completions";
    record.model = i % 2 == 0 ? "mistral-7b" : "gpt-4o-mini";
    record.tenant = i % 3 == 0 ? "acme" : "zeta";
    record.prompt_tokens = 120;
    record.cached_tokens = 16;
    record.completion_tokens = 40;
    if (i == 29) record.outcome = records::Outcome::kRefused;
    if (i == 29) record.prompt_tokens = record.cached_tokens = record.completion_tokens = 0;
  }
  return made;
}

TEST(CostReport, RecordsAndTheSpansOfEachDialectCostTheSame) {
  const auto prices = PriceTable::read(kPrices);
  ASSERT_TRUE(prices);
  CostReport of_records(&*prices);
  for (const auto& record : requests()) ASSERT_TRUE(of_records.add(record));
  EXPECT_EQ(of_records.total().requests, 29);
  EXPECT_EQ(of_records.total().usage.prompt_tokens, 29 * 120);
  EXPECT_EQ(of_records.rows().at({"acme", "mistral-7b"}).cost.text(), "0.0001");
  EXPECT_EQ(of_records.rows().size(), 4u);
  for (const DialectRow& row : {tutorial_dialect(), genai_dialect()}) {
    const auto dialect = row.make({});
    SpanIds ids(7);
    TraceBatch batch(1);
    batch[0].scope_spans.push_back({dialect->origin().scope, "", {}});
    for (const auto& record : requests()) {
      if (record.outcome == records::Outcome::kRefused) continue;
      dialect->append_spans(record, ids, batch[0].scope_spans[0].spans);
    }
    CostReport of_spans(&*prices);
    ASSERT_TRUE(of_spans.add(batch)) << row.name;
    EXPECT_EQ(of_spans.total().requests, 29) << row.name;
    EXPECT_EQ(of_spans.total().cost, of_records.total().cost) << row.name;
    for (const auto& [key, expected] : of_records.rows()) {
      EXPECT_EQ(of_spans.rows().at(key).cost, expected.cost) << row.name << key.first;
    }
    EXPECT_EQ(of_spans.scopes(), std::set<std::string>{dialect->origin().scope.name});
  }
}

TEST(CostReport, WhatHasNoPriceOrCannotBeIsAnError) {
  const auto prices = PriceTable::read(kPrices);
  CostReport report(&*prices);
  TraceBatch batch(1);
  batch[0].scope_spans.resize(1);
  Span& span = batch[0].scope_spans[0].spans.emplace_back();
  span.attributes = {{"llm.prompt_tokens", -1}, {"llm.completion_tokens", 3}};
  EXPECT_FALSE(report.add(batch));
  span.attributes = {{"llm.prompt_tokens", 1}};
  EXPECT_TRUE(report.add(batch));
  EXPECT_TRUE(report.rows().empty()) << "a child has one count alone";
}

TEST(GpuHours, EachStepIsDividedByTokensAndNoNanosecondIsLost) {
  records::StepLog log;
  log.steps.resize(3);
  log.steps[0].duration_ns = 1000;
  log.steps[0].requests = {{.id = 1, .scheduled = 30}, {.id = 2, .scheduled = 10}};
  log.steps[1].duration_ns = 100;
  log.steps[1].requests = {
      {.id = 1, .scheduled = 1}, {.id = 2, .scheduled = 1}, {.id = 3, .scheduled = 1}};
  log.steps[2].duration_ns = 7;  // nobody's
  EXPECT_EQ(busy_time(log), (std::map<uint64_t, int64_t>{{1, 750 + 33}, {2, 250 + 33}, {3, 34}}));
  constexpr int64_t kSecondNs = 1'000'000'000;
  EXPECT_EQ(cost_of_time({250'000'000}, 3600 * kSecondNs).text(), "2.5");
  EXPECT_EQ(cost_of_time({250'000'000}, 36 * kSecondNs).text(), "0.025");
  EXPECT_EQ(parse_usd("2.50")->text(), "2.5");
  for (const char* bad : {"", "-1", "x", "0.000000001", "1001"})
    EXPECT_FALSE(parse_usd(bad)) << bad;
  EXPECT_EQ(cost_of_time({1}, 1800 * kSecondNs).e8, 0) << "half to even";
  EXPECT_EQ(cost_of_time({3}, 1800 * kSecondNs).e8, 2);
}

}  // namespace
}  // namespace touchstone::telemetry
