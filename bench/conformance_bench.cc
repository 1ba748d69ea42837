// What an audit costs: the judge alone on spans in memory, and a whole file of OTLP JSON lines.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <string>

#include "base/check.h"
#include "base/files.h"
#include "conformance/evidence_reader.h"
#include "telemetry/otlp/json.h"

namespace touchstone::conformance {
namespace {

constexpr int kSpansOfBatch = 25;
constexpr int64_t kStartUnixNs = 1'790'000'000'000'000'000;

/// What vLLM emits for a completion; ids from `number`.
telemetry::Span span_of(uint64_t number) {
  telemetry::Span span;
  for (size_t i = 0; i < 8; ++i) {
    const auto byte = static_cast<uint8_t>(number * 0x9E3779B97F4A7C15 >> (8 * i));
    span.trace_id.bytes[i] = span.span_id.bytes[i] = span.parent_span_id.bytes[7 - i] = byte;
  }
  span.trace_id.bytes[15] = span.span_id.bytes[0] = 1;
  span.parent_span_id.bytes[0] = 2;  // the client's, which is not recorded
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

telemetry::TraceBatch batch_of(uint64_t first) {
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
  for (int i = 0; i < kSpansOfBatch; ++i) {
    batch[0].scope_spans[0].spans.push_back(span_of(first + static_cast<uint64_t>(i)));
  }
  return batch;
}

std::vector<Profile> vllm_v1() {
  auto profile = load_profile("vllm-v1");
  BASE_CHECK(profile.has_value(), profile ? "" : profile.error().message);
  return {*std::move(profile)};
}

double resident_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

/// Bytes are those that the spans have as OTLP JSON, to stand beside audit_file.
void judge_spans(benchmark::State& state) {
  constexpr int kBatches = 4000;
  std::vector<telemetry::TraceBatch> batches;
  for (int i = 0; i < kBatches; ++i) {
    batches.push_back(batch_of(static_cast<uint64_t>(i * kSpansOfBatch)));
  }
  const size_t line_bytes = telemetry::encode_otlp_json(batches[0]).size() + 1;
  const std::vector<Profile> profiles = vllm_v1();
  const Evidence evidence;
  for (auto _ : state) {
    Judge judge(evidence, profiles, {});
    for (const telemetry::TraceBatch& batch : batches) judge.add(batch);
    BASE_CHECK(judge.finish().verdict == result::Verdict::kPass);
  }
  state.SetItemsProcessed(state.iterations() * kBatches * kSpansOfBatch);
  state.SetBytesProcessed(state.iterations() * kBatches * static_cast<int64_t>(line_bytes));
}
BENCHMARK(judge_spans)->Unit(benchmark::kMillisecond);

/// Argument: size of the file in MB. `resident_mb` is the most that this program ever had.
void audit_file(benchmark::State& state) {
  const auto wanted = static_cast<size_t>(state.range(0)) << 20;
  const auto folder = TemporaryDirectory::make("touchstone-bench");
  BASE_CHECK(folder.has_value());
  EvidencePaths paths;
  paths.spans = {folder->path() + "/spans.jsonl"};
  size_t bytes = 0;
  uint64_t spans = 0;
  {
    auto writer = LineWriter::open(paths.spans[0]);
    BASE_CHECK(writer.has_value());
    for (; bytes < wanted; spans += kSpansOfBatch) {
      const std::string line = telemetry::encode_otlp_json(batch_of(spans));
      BASE_CHECK((*writer)->write(line).has_value());
      bytes += line.size() + 1;
    }
    BASE_CHECK((*writer)->close().has_value());
  }
  const std::vector<Profile> profiles = vllm_v1();
  for (auto _ : state) {
    const auto judged = judge_files(paths, 0, profiles, {});
    BASE_CHECK(judged.has_value() && judged->report.verdict == result::Verdict::kPass);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(spans));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes));
  state.counters["resident_mb"] = resident_mb();
}
BENCHMARK(audit_file)->Arg(64)->Arg(1024)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace touchstone::conformance

BENCHMARK_MAIN();
