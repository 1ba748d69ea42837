#include "tests/end_to_end/faulty_stack.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/text.h"
#include "tests/support/paths.h"

namespace touchstone::end_to_end {
namespace {

constexpr char kCollectorConfig[] = R"(receivers:
  otlp:
    protocols:
      grpc: {endpoint: "${env:OTLP_GRPC_ENDPOINT}"}
      http: {endpoint: "${env:OTLP_HTTP_ENDPOINT}"}
PROCESSORS
exporters:
  otlp_grpc/backend:
    endpoint: ${env:BACKEND_ENDPOINT}
    tls: {insecure: true}
    retry_on_failure: {initial_interval: 100ms, max_interval: 500ms}
    sending_queue: {batch: {flush_timeout: 200ms, min_size: 64}}
extensions:
  health_check: {endpoint: "${env:HEALTH_ENDPOINT}"}
service:
  extensions: [health_check]
  pipelines:
    traces: {receivers: [otlp], processors: [NAMES], exporters: [otlp_grpc/backend]}
  telemetry:
    metrics:
      level: normal
      readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: "${env:OWN_METRICS_PORT}"}}}}]
)";

}  // namespace

std::string FaultyStack::suite(const Stack& stack) const {
  write_workload("load.jsonl", stack.requests, stack.seconds);
  std::string processors;
  std::vector<std::string> names;
  for (const auto& [name, text] : stack.processors) {
    processors += "  " + name + ": " + text + "\n";
    names.push_back(name);
  }
  if (!processors.empty()) processors = "processors:\n" + processors;
  write("collector.yaml", replaced(replaced(kCollectorConfig, "PROCESSORS\n", processors), "NAMES",
                                   join(names, ", ")));
  const std::string source = support::source_dir();
  const std::string config =
      stack.durable ? source + "/collector_configs/durable.yaml" : "collector.yaml";
  return write(
      "suite.yaml",
      "schema: 2\nname: faulty\nsubjects:\n"
      "  - engine: touchstone\n"
      "    launch:\n"
      "      command: [\"${touchstone}\", serve, " +
          source +
          "/fixtures/models/touchstone-tiny,\n"
          "        --host=127.0.0.1, \"--port=${subject.port}\", --served-model-name=tiny,\n"
          "        --max-model-len=512, --num-gpu-blocks-override=64,\n" +
          (stack.spool ? "        \"--otlp-spool=${subject.disk}/spool\",\n" : "") +
          "        \"--otlp-traces-endpoint=${collector.otlp_" + stack.protocol +
          "}\"]\n"
          "      environment: {OTEL_SERVICE_NAME: vllm-inference, "
          "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: " +
          stack.protocol + ", OTEL_BSP_SCHEDULE_DELAY: \"" + stack.schedule_delay_ms +
          "\"}\n"
          "collector: {config: " +
          config +
          "}\n"
          "backend: {}\ncount_hops: true\n"
          "loads: [{workload: load.jsonl, seed: 1}]\n"
          "answered_share: " +
          format_double(stack.answered_share) + "\nprofiles: [vllm-v1]\n");
}

std::map<std::string, int64_t> FaultyStack::losses() const {
  std::map<std::string, int64_t> rows;
  const nlohmann::json read = report();
  for (const auto& table : read.at("tables")) {
    if (table.at("title") != "Where spans were lost") continue;
    for (const auto& row : table.at("rows")) {
      rows[row.at("name")] = row.at("values").at(0).at("value").get<int64_t>();
    }
  }
  return rows;
}

int64_t FaultyStack::completed() const {
  const auto read = evidence();
  EXPECT_TRUE(read) << read.error().message;
  int64_t completed = 0;
  for (const auto& entry : *read->ledger) {
    completed += entry.outcome == records::ClientOutcome::kCompleted;
  }
  return completed;
}

std::pair<int64_t, int64_t> FaultyStack::request_spans() const {
  int64_t all = 0;
  const auto read = evidence();
  EXPECT_TRUE(read) << read.error().message;
  std::set<std::pair<TraceId, SpanId>> ids;
  for (const auto& batch : read->spans) {
    for (const auto& group : batch) {
      for (const auto& scope : group.scope_spans) {
        for (const auto& span : scope.spans) {
          // What an engine says of its start is no request's.
          if (span.name != "llm_request") continue;
          ++all;
          ids.insert({span.trace_id, span.span_id});
        }
      }
    }
  }
  return {all, std::ssize(ids)};
}

}  // namespace touchstone::end_to_end
