#include "bench/span_file.h"

#include "base/files.h"
#include "telemetry/otlp/json.h"

namespace touchstone::bench {
namespace {

constexpr int64_t kStartUnixNs = 1'790'000'000'000'000'000;

/// Ids from `number`.
telemetry::Span span_of(uint64_t number) {
  telemetry::Span span;
  for (size_t i = 0; i < 8; ++i) {
    const auto byte = static_cast<uint8_t>(number * 0x9E3779B97F4A7C15 >> (8 * i));
    span.trace_id.bytes[i] = span.span_id.bytes[i] = span.parent_span_id.bytes[7 - i] = byte;
  }
  span.trace_id.bytes[15] = 1;
  span.span_id.bytes[0] ^= 0x55;
  span.parent_span_id.bytes[0] ^= 0xaa;  // the client's, which is not recorded
  span.flags = telemetry::kFlagHasIsRemote | telemetry::kFlagIsRemote;
  span.name = "llm_request";
  span.kind = telemetry::SpanKind::kServer;
  span.start_unix_ns = kStartUnixNs + static_cast<int64_t>(number) * 1000;
  span.end_unix_ns = span.start_unix_ns + 192'070'000;
  span.attributes = {{"gen_ai.latency.time_to_first_token", 0.0872342586517334},
                     {"gen_ai.latency.e2e", 0.19115996360778809},
                     {"gen_ai.latency.time_in_queue", 5.383000006986549e-05},
                     {"gen_ai.usage.prompt_tokens", 16},
                     {"gen_ai.usage.completion_tokens", 8},
                     {"gen_ai.latency.time_in_model_prefill", 0.0676563949998581},
                     {"gen_ai.latency.time_in_model_decode", 0.10432979200004411},
                     {"gen_ai.latency.time_in_model_inference", 0.1719861869999022},
                     {"gen_ai.request.id", "cmpl-bfca262b1f4bc3ce-0"},
                     {"gen_ai.request.top_p", 1.0},
                     {"gen_ai.request.max_tokens", 8},
                     {"gen_ai.request.n", 1}};
  return span;
}

}  // namespace

telemetry::TraceBatch span_batch(uint64_t first) {
  telemetry::TraceBatch batch(1);
  batch[0].resource.attributes = {{"telemetry.sdk.language", "python"},
                                  {"telemetry.sdk.name", "opentelemetry"},
                                  {"telemetry.sdk.version", "1.45.2"},
                                  {"service.instance.id", "fc94e57c-6fbd-47a9-9707-97e65c923ccb"},
                                  {"service.name", "vllm-inference"},
                                  {"vllm.instrumenting_module_name", "vllm.llm_engine"},
                                  {"vllm.process_id", "15699"}};
  batch[0].scope_spans.resize(1);
  batch[0].scope_spans[0].scope.name = "vllm.tracing.otel";
  for (int64_t i = 0; i < kSpansOfBatch; ++i) {
    batch[0].scope_spans[0].spans.push_back(span_of(first + static_cast<uint64_t>(i)));
  }
  return batch;
}

Result<int64_t> write_span_file(const std::string& path, uint64_t bytes) {
  auto writer = LineWriter::open(path);
  if (!writer) return std::move(writer).error();
  int64_t spans = 0;
  for (uint64_t written = 0; written < bytes; spans += kSpansOfBatch) {
    const std::string line = telemetry::encode_otlp_json(span_batch(static_cast<uint64_t>(spans)));
    RETURN_IF_ERROR((*writer)->write(line));
    written += line.size() + 1;
  }
  RETURN_IF_ERROR((*writer)->close());
  return spans;
}

}  // namespace touchstone::bench
