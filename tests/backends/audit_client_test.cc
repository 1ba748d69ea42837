// The audit client of tutorials against our server and our sink.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "telemetry/otlp/json.h"
#include "tests/backends/command.h"
#include "tests/backends/spans.h"
#include "tests/support/http_client.h"
#include "tests/support/paths.h"
#include "tests/support/server_process.h"

namespace touchstone::harness {
namespace {

using ::testing::HasSubstr;

Captured run_client(const std::vector<std::string>& words) {
  const RealClock clock;
  SpawnOptions options{
      .name = "client",
      .argv = {"python3", support::source_dir() + "/tests/backends/audit_client.py"}};
  options.argv.insert(options.argv.end(), words.begin(), words.end());
  auto ran = run_and_capture(options, {clock}, 120 * kNsPerSecond);
  BASE_CHECK(ran.has_value(), ran.error().message);
  return *std::move(ran);
}

class AuditClient : public ::testing::Test {
 protected:
  /// A server with these dialects that exports to the sink.
  testing::ServerProcess serve(const std::string& dialect) const {
    return testing::ServerProcess(
        {.model = support::source_dir() + "/fixtures/models/touchstone-tiny",
         .flags = {"--otlp-traces-endpoint",
                   "http://127.0.0.1:" + std::to_string(sink_.grpc_port()), "--span-dialect",
                   dialect},
         .environment = {{"OTEL_SERVICE_NAME", "vllm"},
                         {"OTEL_BSP_SCHEDULE_DELAY", "100"},
                         {"OTEL_RESOURCE_ATTRIBUTES", "deployment.region=hetzner-nbg1-eu"}}});
  }
  Captured ask(const testing::ServerProcess& server) const {
    return run_client({"http://127.0.0.1:" + std::to_string(server.port()), sink_.url(), "vllm"});
  }

  const SinkProcess sink_;
};

TEST_F(AuditClient, ConfirmsTheAuditDialect) {
  const testing::ServerProcess server = serve("audit");
  ASSERT_TRUE(server.ready()) << server.problem();
  const Captured ran = ask(server);
  EXPECT_EQ(ran.status.code, 0) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, HasSubstr("PASS deployment.region hetzner-nbg1-eu"));
  EXPECT_THAT(ran.output, HasSubstr("All required audit attributes confirmed"));
}

TEST_F(AuditClient, MissesWhatVllmItselfDoesNotEmit) {
  const testing::ServerProcess server = serve("vllm");
  ASSERT_TRUE(server.ready()) << server.problem();
  const Captured ran = ask(server);
  EXPECT_EQ(ran.status.code, 1) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("MISSING gen_ai.model.id"));
  EXPECT_THAT(ran.output, HasSubstr("MISSING gen_ai.response.finish_reasons"));
  EXPECT_THAT(ran.output, HasSubstr("PASS gen_ai.usage.prompt_tokens"));
}

TEST_F(AuditClient, ChecksALocallyMadeSpanByTheSameList) {
  const RealClock clock;
  telemetry::ResourceSpans group;
  group.resource.attributes = {{"service.name", "vllm"},
                               {"deployment.region", "hetzner-nbg1-eu"},
                               {"deployment.environment", "production"}};
  telemetry::Span span = odd_span()[0].scope_spans[0].spans[0];
  span.name = "llm.generate";
  span.start_unix_ns = clock.unix_ns();
  span.end_unix_ns = span.start_unix_ns + kNsPerMs;
  span.attributes = {{"gen_ai.system", "vllm"},
                     {"gen_ai.operation.name", "chat"},
                     {"gen_ai.model.id", "facebook/opt-125m"},
                     {"gen_ai.usage.prompt_tokens", 12},
                     {"gen_ai.usage.completion_tokens", 64},
                     {"gen_ai.response.finish_reasons",
                      telemetry::Value(telemetry::Value::Array{telemetry::Value("stop")})}};
  group.scope_spans = {{{"vllm.inference", "", {}, 0}, "", {span}}};
  testing::HttpClient client(sink_.http_port());
  ASSERT_EQ(client
                .exchange("POST", "/v1/traces", telemetry::encode_otlp_json({group}),
                          {{"content-type", "application/json"}})
                .status,
            200);
  const Captured ran = run_client({"none", sink_.url(), "vllm", "--no-chat"});
  EXPECT_EQ(ran.status.code, 0) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, HasSubstr("All required audit attributes confirmed"));
}

}  // namespace
}  // namespace touchstone::harness
