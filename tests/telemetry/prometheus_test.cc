// The text parser and the registry, against each other and against what prometheus_client prints.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

#include "telemetry/prometheus/registry.h"
#include "telemetry/prometheus/text.h"
#include "tests/telemetry/generators.h"

namespace touchstone::telemetry {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(PrometheusNumber, IsWrittenAsPrometheusClientWritesIt) {
  const std::pair<double, const char*> rows[] = {
      {0, "0.0"},
      {1, "1.0"},
      {0.1, "0.1"},
      {0.0001, "0.0001"},
      {0.00001, "1e-05"},
      {1.5e-7, "1.5e-07"},
      {73, "73.0"},
      {16384, "16384.0"},
      {999999, "999999.0"},
      {1000000, "1e+06"},
      {1234567, "1.234567e+06"},
      {5392584704, "5.392584704e+09"},
      {1.7952539789586546e9, "1.7952539789586546e+09"},
      {12345678901.0, "1.2345678901e+010"},
      {1e16, "1e+16"},
      {1.5e300, "1.5e+300"},
      {43.633678674697876, "43.633678674697876"},
      {-2.5, "-2.5"},
      {-1e7, "-10000000.0"},
      {kInfinity, "+Inf"},
      {-kInfinity, "-Inf"},
      {std::nan(""), "NaN"},
  };
  for (const auto& [value, text] : rows) EXPECT_EQ(format_prometheus_number(value), text);
}

RC_GTEST_PROP(PrometheusNumber, ReadsBackAsTheSameNumber, ()) {
  const double value = *gen_number();
  const auto page = parse_prometheus_text("page", "x " + format_prometheus_number(value) + "\n");
  RC_ASSERT(page.has_value());
  RC_ASSERT(page->value("x") == value);
}

TEST(PrometheusText, ReadsTheFormatsExample) {
  const auto page = parse_prometheus_text("page", R"(# HELP http_requests_total The total.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045

# A histogram, which has a pretty complex representation in the text format:
# HELP http_request_duration_seconds A \\ histogram\nof durations.
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05",} 24054
http_request_duration_seconds_bucket{ le = "+Inf" } 144320
http_request_duration_seconds_sum 53423
http_request_duration_seconds_count 144320
not_a_number NaN
)");
  ASSERT_TRUE(page) << page.error().message;
  ASSERT_EQ(page->families.size(), 6u);
  EXPECT_EQ(page->families[0].type, "counter");
  EXPECT_EQ(page->families[0].help, "The total.");
  EXPECT_EQ(page->value("http_requests_total", {{"code", "200"}}), 1027);
  EXPECT_EQ(page->value("http_requests_total"), std::nullopt) << "two match";
  EXPECT_EQ(page->sum("http_requests_total"), 1030);
  EXPECT_EQ(page->sum("absent"), std::nullopt);
  EXPECT_EQ(page->families[1].samples[0].labels.at("path"), "C:\\DIR\\FILE.TXT");
  EXPECT_EQ(page->families[1].samples[0].labels.at("error"), "Cannot find file:\n\"FILE.TXT\"");
  EXPECT_EQ(page->families[1].type, "untyped");
  EXPECT_EQ(page->value("something_weird"), kInfinity);
  const MetricFamily* histogram = page->family("http_request_duration_seconds");
  ASSERT_NE(histogram, nullptr);
  EXPECT_EQ(histogram->help, "A \\ histogram\nof durations.");
  EXPECT_EQ(histogram->samples.size(), 4u);
  EXPECT_EQ(page->value("http_request_duration_seconds_bucket", {{"le", "+Inf"}}), 144320);
  EXPECT_TRUE(std::isnan(*page->value("not_a_number")));
  EXPECT_EQ(page->family("nothing"), nullptr);
}

TEST(PrometheusText, NamesLineGotAndExpected) {
  const std::pair<const char*, const char*> rows[] = {
      {"a 1\nb", "m:2: got \"\", expected the value of b"},
      {"a one", "m:1: got \"one\", expected the value of a"},
      {"a 1 soon", "m:1: got \"soon\", expected a timestamp or nothing"},
      {"a 1 2 3", "m:1: got \"2 3\", expected a timestamp or nothing"},
      {"1a 1", "m:1: got \"1a 1\", expected a metric name"},
      {"a{b} 1", "m:1: got \"} 1\", expected = after a label name"},
      {"a{b=\"c} 1", "m:1: got \"\\\"c} 1\", expected a quoted label value"},
      {"a{b=\"\\x\"} 1", "m:1: got \"\\\"\\\\x\\\"} 1\", expected a quoted label value"},
      {"a{b=\"1\"c=\"2\"} 1", "m:1: got \"c=\\\"2\\\"} 1\", expected , or } after a label"},
      {"a{b=\"1\",b=\"2\"} 1", "m:1: got label \"b\" twice, expected it once"},
      {"a{1=\"1\"} 1", "m:1: got \"1=\\\"1\\\"} 1\", expected a label name or }"},
      {"# TYPE a count", "m:1: got type \"count\", expected counter, gauge"},
      {"# TYPE", "m:1: got \"\", expected a metric name after TYPE"},
      {"a 1\n# TYPE a gauge", "m:2: got a TYPE line for a after its samples"},
      {"# TYPE a gauge\n# TYPE a gauge", "m:2: got a TYPE line for a after"},
      {"a +-1", "m:1: got \"+-1\", expected the value of a"},
  };
  for (const auto& [text, message] : rows) {
    const auto page = parse_prometheus_text("m", text);
    ASSERT_FALSE(page) << text;
    EXPECT_EQ(page.error().code, ErrorCode::kMalformed);
    EXPECT_EQ(page.error().message.substr(0, std::string(message).size()), message);
  }
}

TEST(PrometheusText, ReadsOpenMetricsAndNamesInQuotes) {
  const auto page = parse_prometheus_text("m", R"(# TYPE c counter
c_total{l="1"} 3.0 1795254032.748 # {trace_id="ab"} 0.25 1795254032.7
c_created{l="1"} 5.0
# TYPE h gaugehistogram
h_bucket{le="+Inf"} 1 # {} 0.25
h_gcount 1
# TYPE build info
build_info{version="1"} 1
# TYPE "my.metric" gauge
{"my.metric","a.label"="x",b="y"} 7
# EOF
)");
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->families.size(), 4u);
  EXPECT_EQ(page->family("c")->samples.size(), 2u);
  EXPECT_EQ(page->value("c_total"), 3);
  EXPECT_EQ(page->family("h")->samples.size(), 2u);
  EXPECT_EQ(page->value("build_info", {{"version", "1"}}), 1);
  EXPECT_EQ(page->value("my.metric", {{"a.label", "x"}, {"b", "y"}}), 7);
}

TEST(PrometheusText, AnEmptyPageHasNoFamilies) {
  EXPECT_TRUE(parse_prometheus_text("m", "")->families.empty());
  EXPECT_TRUE(parse_prometheus_text("m", "\n \n# a remark\n")->families.empty());
}

TEST(PrometheusRegistry, RendersAsPrometheusClientDoes) {
  PrometheusRegistry registry;
  using Type = PrometheusRegistry::Type;
  const auto counter = registry.add_family({Type::kCounter, "c", "A \\ counter\nhere."});
  const auto first = registry.add_series(counter, {{"z", "1"}, {"a", "q\"\\\n"}}, 1.5e9);
  const auto histogram = registry.add_family({Type::kHistogram, "h", "Some.", {0.5, 1, 10}});
  const auto timing = registry.add_series(histogram, {}, 1.5e9);
  const auto gauge = registry.add_series(registry.add_family({Type::kGauge, "g", "Now."}), {}, 0);
  const auto size =
      registry.add_series(registry.add_family({Type::kSummary, "s", "Sizes."}), {}, 2);
  registry.add_family({Type::kCounter, "none", "No series yet."});
  registry.add(first, 2);
  for (const double value : {0.5, 0.75, 10.0, 11.0}) registry.observe(timing, value);
  registry.set(gauge, -0.25);
  registry.observe(size, 7);
  std::string page;
  registry.render(registry.values(), page);
  EXPECT_EQ(page, R"(# HELP c_total A \\ counter\nhere.
# TYPE c_total counter
c_total{a="q\"\\\n",z="1"} 2.0
# HELP c_created A \\ counter\nhere.
# TYPE c_created gauge
c_created{a="q\"\\\n",z="1"} 1.5e+09
# HELP h Some.
# TYPE h histogram
h_bucket{le="0.5"} 1.0
h_bucket{le="1.0"} 2.0
h_bucket{le="10.0"} 3.0
h_bucket{le="+Inf"} 4.0
h_count 4.0
h_sum 22.25
# HELP h_created Some.
# TYPE h_created gauge
h_created 1.5e+09
# HELP g Now.
# TYPE g gauge
g -0.25
# HELP s Sizes.
# TYPE s summary
s_count 1.0
s_sum 7.0
# HELP s_created Sizes.
# TYPE s_created gauge
s_created 2.0
# HELP none_total No series yet.
# TYPE none_total counter
)");
  const auto read = parse_prometheus_text("page", page);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->families[0].samples[0].labels.at("a"), "q\"\\\n");
  EXPECT_EQ(read->family("h")->samples.size(), 6u);
}

}  // namespace
}  // namespace touchstone::telemetry
