// What telemetry costs: on the engine thread for each request and step, and on the exporter's
// thread for each span.
#include <benchmark/benchmark.h>

#include "base/check.h"
#include "base/clock.h"
#include "records/request_record.h"
#include "records/step_log.h"
#include "records/trace_context.h"
#include "telemetry/dialects/dialect.h"
#include "telemetry/otlp/json.h"
#include "telemetry/otlp/protobuf.h"
#include "telemetry/prometheus/vllm_metrics.h"
#include "telemetry/resource.h"

namespace touchstone::telemetry {
namespace {

records::RequestRecord typical_record() {
  records::RequestRecord record;
  record.request_id = "cmpl-bfca262b1f4bc3ce-0";
  record.endpoint = "/v1/completions";
  record.model = "tiny";
  record.trace =
      records::parse_traceparent("00-656abd72fb710734986e86cb0ab8ab67-73f778aaf6fa5db8-01");
  record.arrival_unix_ns = 1'795'254'032'748'998'144;
  record.arrival_ns = 5'000'000'000;
  record.queued_ns = 5'000'100'000;
  record.first_scheduled_ns = 5'000'153'830;
  record.first_token_ns = 5'087'234'258;
  record.last_token_ns = 5'191'159'963;
  record.finished_ns = 5'191'200'000;
  record.prompt_tokens = 1024;
  record.completion_tokens = 128;
  record.max_tokens = 128;
  record.temperature = 0.7;
  record.top_p = 1.0;
  record.block_size = 16;
  return record;
}

TraceBatch full_batch() {
  constexpr int kSpans = 512;
  TraceBatch batch(1);
  batch[0].resource = make_vllm_resource({"fc94e57c-6fbd-47a9-9707-97e65c923ccb", 1, {}}).resource;
  const auto dialect = vllm_dialect().make({});
  batch[0].scope_spans.push_back({dialect->origin().scope, "", {}});
  SpanIds ids(1);
  const records::RequestRecord record = typical_record();
  for (int i = 0; i < kSpans; ++i) {
    dialect->append_spans(record, ids, batch[0].scope_spans[0].spans);
  }
  return batch;
}

void count_spans(benchmark::State& state, const TraceBatch& batch) {
  state.SetItemsProcessed(state.iterations() *
                          static_cast<int64_t>(batch[0].scope_spans[0].spans.size()));
}

void encode_protobuf(benchmark::State& state) {
  const TraceBatch batch = full_batch();
  for (auto _ : state) benchmark::DoNotOptimize(encode_otlp_protobuf(batch));
  count_spans(state, batch);
}
BENCHMARK(encode_protobuf);

void decode_protobuf(benchmark::State& state) {
  const TraceBatch batch = full_batch();
  const std::string bytes = encode_otlp_protobuf(batch);
  for (auto _ : state) benchmark::DoNotOptimize(decode_otlp_protobuf(bytes));
  count_spans(state, batch);
}
BENCHMARK(decode_protobuf);

void encode_json(benchmark::State& state) {
  const TraceBatch batch = full_batch();
  for (auto _ : state) benchmark::DoNotOptimize(encode_otlp_json(batch));
  count_spans(state, batch);
}
BENCHMARK(encode_json);

void decode_json(benchmark::State& state) {
  const TraceBatch batch = full_batch();
  const std::string line = encode_otlp_json(batch);
  for (auto _ : state) benchmark::DoNotOptimize(decode_otlp_json(line));
  count_spans(state, batch);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(line.size()));
}
BENCHMARK(decode_json);

/// Per request on the engine thread.
void record_to_span(benchmark::State& state) {
  const records::RequestRecord record = typical_record();
  SpanIds ids(1);
  std::vector<Span> spans;
  const auto dialect = vllm_dialect().make({});
  for (auto _ : state) {
    spans.clear();
    dialect->append_spans(record, ids, spans);
    benchmark::DoNotOptimize(spans.data());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(record_to_span);

void record_to_metrics(benchmark::State& state) {
  VllmMetrics metrics({.model_name = "tiny", .max_model_len = 4096, .cache = {}});
  const records::RequestRecord record = typical_record();
  for (auto _ : state) metrics.on_finish(record);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(record_to_metrics);

void record_to_json_line(benchmark::State& state) {
  records::RequestRecord record = typical_record();
  record.block_hashes.assign(72, std::string(64, 'a'));
  for (auto _ : state) benchmark::DoNotOptimize(to_json_line(record));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(record_to_json_line);

/// Per step on the engine thread, for the given number of running requests.
void step_to_json_line(benchmark::State& state) {
  records::StepRecord step;
  step.start_ns = 5'000'000'000;
  step.duration_ns = 20'000'000;
  for (int64_t i = 0; i < state.range(0); ++i) {
    step.requests.push_back({static_cast<uint64_t>(1000 + i), 1000 + i, 1, true, 0, false});
  }
  for (auto _ : state) benchmark::DoNotOptimize(to_json_line(step));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(step_to_json_line)->Arg(1)->Arg(64)->Arg(256);

void step_to_metrics(benchmark::State& state) {
  VllmMetrics metrics({.model_name = "tiny", .max_model_len = 4096, .cache = {}});
  records::StepStats stats;
  stats.generation_tokens = state.range(0);
  stats.inter_token_latency_ns.assign(static_cast<size_t>(state.range(0)), 20'000'000);
  for (auto _ : state) metrics.on_step(stats);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(step_to_metrics)->Arg(1)->Arg(64)->Arg(256);

void render_metrics_page(benchmark::State& state) {
  VllmMetrics metrics({.model_name = "tiny", .max_model_len = 4096, .cache = {}});
  for (auto _ : state) benchmark::DoNotOptimize(metrics.render());
}
BENCHMARK(render_metrics_page);

}  // namespace
}  // namespace touchstone::telemetry

BENCHMARK_MAIN();
