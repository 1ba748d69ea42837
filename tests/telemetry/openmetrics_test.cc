#include "telemetry/prometheus/openmetrics.h"

#include <gtest/gtest.h>

#include "telemetry/prometheus/registry.h"
#include "telemetry/prometheus/vllm_metrics.h"

namespace touchstone::telemetry {
namespace {

TEST(OpenMetrics, IsThePageWithItsOwnNamesAndPlaces) {
  PrometheusRegistry registry;
  using Type = PrometheusRegistry::Type;
  const auto counter =
      registry.add_family({.type = Type::kCounter, .name = "c", .help = "a \"c\""});
  const auto one = registry.add_series(counter, {{"l", "1"}}, 5);
  registry.add_series(counter, {{"l", "2"}}, 6);
  registry.add(one, 3);
  const auto histogram = registry.add_family(
      {.type = Type::kHistogram, .name = "h_total", .help = "h", .bounds = {0.5}});
  for (const char* model : {"a", "b"}) {
    const auto series = registry.add_series(histogram, {{"a", "x"}, {"model", model}}, 7);
    if (*model == 'a') registry.observe(series, 0.25);
  }
  const auto gauge = registry.add_family({.type = Type::kGauge, .name = "g", .help = "g"});
  registry.add_series(gauge, {}, 0);
  std::string page;
  registry.render(registry.values(), page);
  Exemplar exemplar{.trace_id = {}, .value = 0.25, .unix_ns = 1'795'254'032'748'000'000};
  exemplar.trace_id.bytes[0] = 0xab;
  const Exemplars exemplars = {{"h_total_bucket{a=\"x\",le=\"0.5\",model=\"a\"}", exemplar},
                               {"h_total_bucket{a=\"x\",le=\"0.5\",model=\"b\"}", exemplar}};
  EXPECT_EQ(to_openmetrics(page, exemplars),
            "# HELP c a \\\"c\\\"\n# TYPE c counter\n"
            "c_total{l=\"1\"} 3.0\nc_created{l=\"1\"} 5.0\n"
            "c_total{l=\"2\"} 0.0\nc_created{l=\"2\"} 6.0\n"
            "# HELP h_total h\n# TYPE h_total histogram\n"
            "h_total_bucket{a=\"x\",le=\"0.5\",model=\"a\"} 1.0 # "
            "{trace_id=\"ab000000000000000000000000000000\"} 0.25 1795254032.748\n"
            "h_total_bucket{a=\"x\",le=\"+Inf\",model=\"a\"} 1.0\n"
            "h_total_count{a=\"x\",model=\"a\"} 1.0\nh_total_sum{a=\"x\",model=\"a\"} 0.25\n"
            "h_total_created{a=\"x\",model=\"a\"} 7.0\n"
            "h_total_bucket{a=\"x\",le=\"0.5\",model=\"b\"} 0.0\n"
            "h_total_bucket{a=\"x\",le=\"+Inf\",model=\"b\"} 0.0\n"
            "h_total_count{a=\"x\",model=\"b\"} 0.0\nh_total_sum{a=\"x\",model=\"b\"} 0.0\n"
            "h_total_created{a=\"x\",model=\"b\"} 7.0\n"
            "# HELP g g\n# TYPE g gauge\ng 0.0\n# EOF\n");
}

TEST(OpenMetrics, IsGivenToWhoAsksForIt) {
  EXPECT_TRUE(accepts_openmetrics("application/openmetrics-text; version=1.0.0,text/plain"));
  EXPECT_TRUE(accepts_openmetrics("text/plain;q=0.5, application/openmetrics-text;q=0.9"));
  EXPECT_FALSE(accepts_openmetrics("text/plain"));
  EXPECT_FALSE(accepts_openmetrics("*/*"));
  EXPECT_FALSE(accepts_openmetrics(""));
}

TEST(VllmMetrics, LatencyBucketsNameTheTraceOfARequestInThem) {
  VllmMetrics metrics({.model_name = "m", .max_model_len = 100, .cache = {}});
  records::RequestRecord record;
  record.arrival_unix_ns = 1'000'000'000;
  record.first_token_ns = 30'000'000;
  record.last_token_ns = record.finished_ns = 900'000'000;
  metrics.on_finish(record);
  EXPECT_TRUE(metrics.exemplars().empty()) << "nobody knows its trace";
  record.trace.emplace();
  record.trace->trace_id.bytes[0] = 1;
  metrics.on_finish(record);
  EXPECT_TRUE(metrics.exemplars().empty()) << "not sampled: there is no span to find";
  record.trace->flags = 1;
  metrics.on_finish(record);
  const Exemplars exemplars = metrics.exemplars();
  ASSERT_EQ(exemplars.size(), 2u);
  const auto first = exemplars.find(
      "vllm:time_to_first_token_seconds_bucket{engine=\"0\",le=\"0.04\",model_name=\"m\"}");
  ASSERT_NE(first, exemplars.end()) << exemplars.begin()->first;
  EXPECT_EQ(first->second.value, 0.03);
  EXPECT_EQ(first->second.unix_ns, 1'900'000'000);
  EXPECT_EQ(first->second.trace_id, record.trace->trace_id);
}

}  // namespace
}  // namespace touchstone::telemetry
