// What the environment says of spans: sampling, limits, endpoints, and what is refused aloud.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "telemetry/export/environment_check.h"
#include "telemetry/export/metrics_exporter.h"
#include "telemetry/export/otlp_options.h"
#include "telemetry/export/sampler.h"
#include "telemetry/export/span_limits.h"
#include "telemetry/export/span_log.h"
#include "telemetry/export/span_pipeline.h"

namespace touchstone::telemetry {
namespace {

records::RequestRecord request(int number, std::optional<bool> caller_samples = std::nullopt) {
  records::RequestRecord record;
  record.endpoint = "/v1/completions";
  record.request_id = "cmpl-" + std::to_string(number) + "-0";
  if (caller_samples) {
    record.trace.emplace();
    record.trace->trace_id.bytes[15] = static_cast<uint8_t>(number);
    record.trace->trace_id.bytes[8] = static_cast<uint8_t>(number);
    record.trace->flags = *caller_samples ? 1 : 0;
  }
  return record;
}

/// Whether a dialect would make a span of it.
bool makes_span(const Sampler& sampler, const records::RequestRecord& record) {
  const auto seen = sampler.decide(record);
  return seen && (!seen->trace || seen->trace->sampled());
}

TEST(Sampler, DecidesAsTheSpecificationSays) {
  struct Row {
    const char* name;
    const char* argument;
    bool alone;       // begins a trace
    bool of_sampled;  // its caller samples
    bool of_unsampled;
  };
  for (const Row& row : {Row{"", "", true, true, false},
                         {"always_on", "", true, true, true},
                         {"always_off", "", false, false, false},
                         {"parentbased_always_on", "", true, true, false},
                         {"parentbased_always_off", "", false, true, false},
                         {"traceidratio", "0", false, false, false},
                         {"traceidratio", "1", true, true, true},
                         {"traceidratio", "", true, true, true},
                         {"parentbased_traceidratio", "0.0", false, true, false}}) {
    const auto sampler = Sampler::from(
        {{"OTEL_TRACES_SAMPLER", row.name}, {"OTEL_TRACES_SAMPLER_ARG", row.argument}});
    ASSERT_TRUE(sampler) << row.name;
    EXPECT_EQ(makes_span(*sampler, request(1)), row.alone) << row.name << row.argument;
    EXPECT_EQ(makes_span(*sampler, request(1, true)), row.of_sampled) << row.name;
    EXPECT_EQ(makes_span(*sampler, request(1, false)), row.of_unsampled) << row.name;
  }
  EXPECT_TRUE(Sampler().is_default());
  EXPECT_TRUE(Sampler::from({{"OTEL_TRACES_SAMPLER", "parentbased_always_on"}})->is_default());
}

TEST(Sampler, ARatioTakesTracesByTheLowerHalfOfTheirId) {
  const auto half =
      Sampler::from({{"OTEL_TRACES_SAMPLER", "traceidratio"}, {"OTEL_TRACES_SAMPLER_ARG", "0.5"}});
  ASSERT_TRUE(half);
  EXPECT_TRUE(makes_span(*half, request(0x7f, false)));
  EXPECT_FALSE(makes_span(*half, request(0x80, true)));
  int taken = 0;
  for (int i = 0; i < 1000; ++i) {
    records::RequestRecord first = request(i);
    first.choices = 2;
    records::RequestRecord second = first;
    second.choice = 1;
    const auto seen = half->decide(first);
    EXPECT_EQ(seen.has_value(), half->decide(second).has_value()) << "choices go together";
    if (!seen) continue;
    ++taken;
    EXPECT_EQ(seen->own_trace_id, half->decide(second)->own_trace_id);
  }
  EXPECT_GT(taken, 440);
  EXPECT_LT(taken, 560);
}

TEST(Sampler, RefusesWhatItDoesNotHave) {
  for (const auto& [name, argument] : {std::pair{"jaeger_remote", ""},
                                       {"parentbased_xray", ""},
                                       {"traceidratio", "1.5"},
                                       {"traceidratio", "half"}}) {
    EXPECT_FALSE(
        Sampler::from({{"OTEL_TRACES_SAMPLER", name}, {"OTEL_TRACES_SAMPLER_ARG", argument}}))
        << name << argument;
  }
}

TEST(SpanLimits, CutAndCount) {
  const auto limits = SpanLimits::from({{"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2"},
                                        {"OTEL_ATTRIBUTE_COUNT_LIMIT", "9"},
                                        {"OTEL_SPAN_EVENT_COUNT_LIMIT", "1"},
                                        {"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "0"},
                                        {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3"}});
  ASSERT_TRUE(limits) << limits.error().message;
  Span span;
  span.attributes = {{"a", "Müller"}, {"b", Value::Array{"abcdef", 12345}}, {"c", 1}};
  span.events.resize(2);
  span.events[0].attributes = {{"x", 1}};
  limits->apply(span);
  EXPECT_EQ(span.attributes, (Attributes{{"a", "Mül"}, {"b", Value::Array{"abc", 12345}}}));
  EXPECT_EQ(span.dropped_attributes_count, 1u);
  EXPECT_EQ(span.events.size(), 1u);
  EXPECT_EQ(span.dropped_events_count, 1u);
  EXPECT_EQ(span.events[0].dropped_attributes_count, 1u);
  for (const char* bad : {"-1", "x", "1.5"}) {
    EXPECT_FALSE(SpanLimits::from({{"OTEL_SPAN_LINK_COUNT_LIMIT", bad}})) << bad;
  }
}

TEST(OtelEnvironment, WhatIsNotHonouredIsRefusedOrTold) {
  const auto told = [](const Environment& environment, bool exports, bool pushes = false) {
    const auto lines = check_otel_environment(environment, exports, pushes);
    return lines ? join(*lines, "\n") : "refused: " + lines.error().message;
  };
  EXPECT_EQ(told({}, true), "");
  EXPECT_EQ(told({{"OTEL_PROPAGATORS", "tracecontext, baggage"}}, true), "");
  EXPECT_EQ(told({{"OTEL_PROPAGATORS", "tracecontext,b3"}}, true),
            "refused: OTEL_PROPAGATORS: got \"b3\", expected one of: tracecontext, baggage");
  EXPECT_EQ(told({{"OTEL_PROPAGATORS", "b3"}}, false), "") << "nothing is sent";
  EXPECT_EQ(told({{"OTEL_TRACES_EXPORTER", "zipkin"}}, true).substr(0, 8), "refused:");
  EXPECT_NE(told({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:1"}}, false).find("no effect"),
            std::string::npos);
  EXPECT_EQ(told({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:1"}}, true), "");
  EXPECT_NE(told({{"OTEL_METRIC_EXPORT_INTERVAL", "10"}}, true).find("--otlp-metrics-endpoint"),
            std::string::npos);
  EXPECT_EQ(told({{"OTEL_METRIC_EXPORT_INTERVAL", "10"}}, true, true), "");
  EXPECT_EQ(
      told({{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"}}, false, true),
      "refused: OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: got \"delta\", expected one of: "
      "cumulative");
  for (const char* name : {"VLLM_OTLP_TRACES_ENDPOINT", "VLLM_TRACE_FUNCTION",
                           "OTEL_EXPORTER_OTLP_TRACES_INSECURE", "OTEL_CONFIG_FILE"}) {
    EXPECT_NE(told({{name, "1"}}, true).find(std::string(name) + ": no effect"), std::string::npos);
  }
}

TEST(OtlpEndpoint, TheEnvironmentMayNameIt) {
  const auto endpoint = [](const Environment& environment) {
    const auto options = otlp_options("env", environment);
    return options ? options->endpoint.authority + options->endpoint.path
                   : "refused: " + options.error().message;
  };
  EXPECT_EQ(endpoint({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:1"}}), "h:1");
  EXPECT_EQ(endpoint({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:1/base/"},
                      {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"}}),
            "h:1/base/v1/traces");
  EXPECT_EQ(endpoint({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:1"},
                      {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:2/own"},
                      {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"}}),
            "t:2/own");
  EXPECT_EQ(endpoint({}).substr(0, 8), "refused:");
}

TEST(OtlpEndpoint, MetricsHaveVariablesOfTheirOwn) {
  const Environment environment = {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:1"},
                                   {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"},
                                   {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"},
                                   {"OTEL_EXPORTER_OTLP_METRICS_HEADERS", "k=v"},
                                   {"OTEL_METRIC_EXPORT_INTERVAL", "1500"}};
  const auto options = otlp_options("env", environment, Signal::kMetrics);
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->protocol, "http/json");
  EXPECT_EQ(options->endpoint.authority + options->endpoint.path, "h:1/v1/metrics");
  EXPECT_EQ(options->headers.size(), 1u);
  EXPECT_EQ(otlp_options("env", environment)->headers.size(), 0u);
  EXPECT_EQ(metrics_export_options(*options, environment)->interval_ns, 1500 * kNsPerMs);
  EXPECT_FALSE(metrics_export_options(*options, {{"OTEL_METRIC_EXPORT_INTERVAL", "0"}}));
}

TEST(SpanLog, HasOneObjectASpan) {
  const auto folder = TemporaryDirectory::make("span-log");
  ASSERT_TRUE(folder);
  const std::string path = folder->path() + "/spans.ndjson";
  auto log = SpanLog::open(path, {{{"service.name", Value("vllm-inference")}}}, nullptr);
  ASSERT_TRUE(log);
  Span span;
  span.trace_id.bytes[0] = 0xab;
  span.span_id.bytes[7] = 1;
  span.name = "inference.request";
  span.start_unix_ns = 1'000'000'000;
  span.end_unix_ns = 1'012'345'678;
  span.attributes = {{"llm.model", "m"}, {"llm.max_tokens", 3}, {"reasons", Value::Array{"stop"}}};
  span.status = StatusCode::kError;
  const SpanOrigin origin;
  std::vector<Span> spans = {span, span};
  (*log)->submit_all(origin, spans);
  EXPECT_TRUE((*log)->shutdown(0));
  const std::string object =
      R"({"trace_id":"ab000000000000000000000000000000","span_id":"0000000000000001",)"
      R"("parent_span_id":null,"name":"inference.request","start_time_ns":1000000000,)"
      R"("end_time_ns":1012345678,"duration_ms":12.346,"attributes":{"llm.model":"m",)"
      R"("llm.max_tokens":3,"reasons":["stop"]},"status":"ERROR","service":"vllm-inference"})"
      "\n";
  EXPECT_EQ(*read_file(path), object + object);
}

}  // namespace
}  // namespace touchstone::telemetry
