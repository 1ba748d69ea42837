// The tutorial dialect, and the metrics of what tenants used.
#include <gtest/gtest.h>

#include "base/clock.h"
#include "telemetry/dialects/dialect.h"
#include "telemetry/prometheus/text.h"
#include "telemetry/prometheus/usage_metrics.h"
#include "tests/support/paths.h"

namespace touchstone::telemetry {
namespace {

PriceTable prices() {
  auto table =
      PriceTable::read(support::source_dir() + "/fixtures/prices/per-thousand-tokens.yaml");
  EXPECT_TRUE(table) << table.error().message;
  return *std::move(table);
}

records::RequestRecord request() {
  records::RequestRecord record;
  record.request_id = "cmpl-x-0";
  record.endpoint = "/v1/completions";
  record.model = "mistral-7b";
  record.tenant = "acme";
  record.arrival_unix_ns = 1'795'254'032 * kNsPerSecond;
  record.arrival_ns = 10 * kNsPerSecond;
  record.tokenize_ns = kNsPerSecond / 2;
  record.queued_ns = 11 * kNsPerSecond;
  record.first_scheduled_ns = 13 * kNsPerSecond;
  record.first_token_ns = 16 * kNsPerSecond;
  record.last_token_ns = 21 * kNsPerSecond;
  record.finished_ns = 22 * kNsPerSecond;
  record.prompt_characters = 480;
  record.prompt_tokens = 120;
  record.completion_tokens = 40;
  record.max_tokens = 64;
  record.temperature = 0.0;
  return record;
}

std::vector<Span> spans_of(const records::RequestRecord& record, const PriceTable* table) {
  SpanIds ids(7);
  std::vector<Span> spans;
  tutorial_dialect().make({.prices = table})->append_spans(record, ids, spans);
  return spans;
}

TEST(TutorialDialect, AnAdapterIsToldByItsName) {
  records::RequestRecord record = request();
  record.adapter = "legal";
  const std::vector<Span> spans = spans_of(record, nullptr);
  EXPECT_EQ(spans[0].attributes[0], (KeyValue{"llm.model", "legal"}));
}

TEST(TutorialDialect, HasTheRootWithItsThreeChildren) {
  const PriceTable table = prices();
  const std::vector<Span> spans = spans_of(request(), &table);
  ASSERT_EQ(spans.size(), 4u);
  const Span& root = spans[0];
  EXPECT_EQ(root.name, "inference.request");
  EXPECT_EQ(root.attributes, (Attributes{{"llm.model", "mistral-7b"},
                                         {"llm.request_id", "cmpl-x-0"},
                                         {"llm.max_tokens", 64},
                                         {"llm.temperature", 0.0},
                                         {"llm.user", "acme"},
                                         {"llm.prompt_tokens", 120},
                                         {"llm.completion_tokens", 40},
                                         {"llm.total_tokens", 160},
                                         {"llm.estimated_cost_usd", 0.00002},
                                         {"llm.trace_id", root.trace_id.hex()}}));
  ASSERT_EQ(root.events.size(), 1u);
  EXPECT_EQ(root.events[0].name, "first_token");
  EXPECT_EQ(root.events[0].time_unix_ns - root.start_unix_ns, 6 * kNsPerSecond);
  const struct {
    const char* name;
    double start_s;
    double end_s;
    Attributes attributes;
  } expected[] = {
      {"inference.tokenize",
       0,
       0.5,
       {{"llm.prompt_tokens", 120}, {"llm.prompt_length_chars", 480}}},
      {"inference.prefill", 3, 6, {{"llm.prefill_latency_ms", 3000.0}, {"llm.prompt_tokens", 120}}},
      {"inference.decode",
       6,
       11,
       {{"llm.completion_tokens", 40}, {"llm.decode_latency_ms", 5000.0}}}};
  for (size_t i = 0; i < 3; ++i) {
    const Span& child = spans[i + 1];
    EXPECT_EQ(child.name, expected[i].name);
    EXPECT_EQ(child.parent_span_id, root.span_id);
    EXPECT_EQ(child.trace_id, root.trace_id);
    EXPECT_EQ(to_seconds(child.start_unix_ns - root.start_unix_ns), expected[i].start_s);
    EXPECT_EQ(to_seconds(child.end_unix_ns - root.start_unix_ns), expected[i].end_s);
    EXPECT_EQ(child.attributes, expected[i].attributes);
  }
}

TEST(TutorialDialect, APromptIsPaidForWithItsFirstChoice) {
  const PriceTable table = prices();
  records::RequestRecord record = request();
  record.n = 2;
  record.choices = 2;
  const auto cost = [&] {
    return *find(spans_of(record, &table)[0].attributes, "llm.estimated_cost_usd")->number();
  };
  EXPECT_EQ(cost(), 0.00002);
  record.choice = 1;
  EXPECT_EQ(cost(), 0.000008);
}

TEST(TutorialDialect, LeavesOutWhatIsNotKnown) {
  records::RequestRecord record = request();
  record.tenant.clear();
  const std::vector<Span> spans = spans_of(record, nullptr);
  EXPECT_EQ(find(spans[0].attributes, "llm.user"), nullptr);
  EXPECT_EQ(find(spans[0].attributes, "llm.estimated_cost_usd"), nullptr);
}

TEST(TutorialDialect, AFailedRequestHasTheChildrenThatItReached) {
  records::RequestRecord record = request();
  record.outcome = records::Outcome::kAbort;
  record.first_token_ns.reset();
  record.last_token_ns.reset();
  std::vector<Span> spans = spans_of(record, nullptr);
  ASSERT_EQ(spans.size(), 3u);
  EXPECT_EQ(spans[0].status, StatusCode::kError);
  EXPECT_EQ(*find(spans[0].attributes, "error.type")->string(), "client_disconnected");
  EXPECT_EQ(spans[2].name, "inference.prefill");
  EXPECT_EQ(spans[2].end_unix_ns, spans[0].end_unix_ns);
  record = {};
  record.outcome = records::Outcome::kRefused;
  EXPECT_EQ(spans_of(record, nullptr).size(), 1u);
  record.trace = records::TraceContext{};
  EXPECT_TRUE(spans_of(record, nullptr).empty()) << "the caller does not sample";
}

TEST(TutorialDialect, BeginsTheTraceThatSomebodyWasToldOf) {
  records::RequestRecord record = request();
  record.own_trace_id.emplace();
  record.own_trace_id->bytes[0] = 9;
  EXPECT_EQ(spans_of(record, nullptr)[0].trace_id, *record.own_trace_id);
}

MetricsPage page_of(const DialectMetrics& metrics) {
  std::string text;
  metrics.render(text);
  auto page = parse_prometheus_text("metrics", text);
  EXPECT_TRUE(page) << page.error().message;
  return *std::move(page);
}

TEST(UsageMetrics, SumTokensAndCostsByModelAndTenant) {
  const PriceTable table = prices();
  UsageMetrics metrics({.served_models = {"mistral-7b"}, .prices = &table});
  records::RequestRecord record = request();
  for (int i = 0; i < 3; ++i) metrics.on_finish(record);
  record.tenant = "zeta";
  metrics.on_finish(record);
  record.outcome = records::Outcome::kRefused;
  record.tenant = "nobody";
  metrics.on_finish(record);
  record.tenant = "zeta";
  record.rate_limit = "tokens";
  metrics.on_finish(record);
  const auto page = page_of(metrics);
  EXPECT_EQ(page.value("llm_rate_limited_requests_total",
                       {{"model_name", "mistral-7b"}, {"tenant", "zeta"}}),
            1);
  const Labels acme = {{"model_name", "mistral-7b"}, {"tenant", "acme"}};
  EXPECT_EQ(page.value("llm_total_tokens_total", acme), 480);
  EXPECT_EQ(page.value("llm_estimated_cost_usd_total", acme), 0.00006);
  EXPECT_EQ(page.sum("llm_total_tokens_total"), 640);
  EXPECT_FALSE(
      page.value("llm_total_tokens_total", {{"model_name", "mistral-7b"}, {"tenant", "nobody"}}));
}

TEST(UsageMetrics, TenantsBeyondTheLimitShareOneSeries) {
  UsageMetrics metrics({.served_models = {"mistral-7b"}, .tenants_max = 3});
  records::RequestRecord record = request();
  for (int i = 0; i < 1000; ++i) {
    record.tenant = "tenant-" + std::to_string(i);
    record.model = i % 2 == 0 ? "mistral-7b" : "x" + std::to_string(i);
    metrics.on_finish(record);
  }
  std::string text;
  metrics.render(text);
  EXPECT_LT(text.size(), 2000u);
  const auto page = page_of(metrics);
  EXPECT_EQ(page.sum("llm_total_tokens_total", {{"tenant", "other"}}), 997 * 160);
  EXPECT_EQ(page.sum("llm_total_tokens_total", {{"model_name", "other"}}), 500 * 160);
  EXPECT_FALSE(page.sum("llm_estimated_cost_usd_total")) << "no prices, no costs";
}

}  // namespace
}  // namespace touchstone::telemetry
