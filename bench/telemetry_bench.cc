// What telemetry costs: on the engine thread for each request and step, and on the exporter's
// thread for each span.
#include <benchmark/benchmark.h>
#include <google/protobuf/arena.h>

#include <algorithm>

#include "base/check.h"
#include "base/clock.h"
#include "bench/typical_record.h"
#include "records/request_record.h"
#include "records/step_log.h"
#include "telemetry/dialects/dialect.h"
#include "telemetry/otlp/file.h"
#include "telemetry/otlp/json.h"
#include "telemetry/otlp/messages.h"
#include "telemetry/otlp/protobuf.h"
#include "telemetry/prometheus/vllm_metrics.h"
#include "telemetry/resource.h"

namespace touchstone::telemetry {
namespace {

using bench::typical_record;

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

namespace common = opentelemetry::proto::common::v1;
namespace trace = opentelemetry::proto::trace::v1;
using Request = opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;

template <typename List>
void fill(const Attributes& from, List& out) {
  for (const KeyValue& entry : from) {
    common::KeyValue& to = *out.Add();
    to.set_key(entry.key);
    if (const auto* text = entry.value.string()) to.mutable_value()->set_string_value(*text);
    if (const auto* integer = entry.value.integer()) to.mutable_value()->set_int_value(*integer);
    if (const auto* number = entry.value.number()) to.mutable_value()->set_double_value(*number);
  }
}

template <size_t N>
std::string bytes_of(const ByteId<N>& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), N};
}

/// What full_batch() has, and no more.
void fill(const TraceBatch& batch, Request& request) {
  for (const ResourceSpans& from : batch) {
    trace::ResourceSpans& group = *request.add_resource_spans();
    fill(from.resource.attributes, *group.mutable_resource()->mutable_attributes());
    for (const ScopeSpans& scope : from.scope_spans) {
      trace::ScopeSpans& spans = *group.add_scope_spans();
      spans.mutable_scope()->set_name(scope.scope.name);
      for (const Span& span : scope.spans) {
        trace::Span& to = *spans.add_spans();
        to.set_trace_id(bytes_of(span.trace_id));
        to.set_span_id(bytes_of(span.span_id));
        if (span.parent_span_id.is_valid()) to.set_parent_span_id(bytes_of(span.parent_span_id));
        to.set_flags(span.flags);
        to.set_name(span.name);
        to.set_kind(static_cast<trace::Span::SpanKind>(span.kind));
        to.set_start_time_unix_nano(static_cast<uint64_t>(span.start_unix_ns));
        to.set_end_time_unix_nano(static_cast<uint64_t>(span.end_unix_ns));
        fill(span.attributes, *to.mutable_attributes());
        to.mutable_status();
      }
    }
  }
}

/// The peer of encode_protobuf: the same bytes through the generated messages.
void encode_protobuf_by_messages(benchmark::State& state) {
  const TraceBatch batch = full_batch();
  for (auto _ : state) {
    google::protobuf::Arena arena;
    auto* request = google::protobuf::Arena::CreateMessage<Request>(&arena);
    fill(batch, *request);
    std::string bytes = request->SerializeAsString();
    benchmark::DoNotOptimize(bytes);
  }
  Request once;
  fill(batch, once);
  BASE_CHECK(once.SerializeAsString() == encode_otlp_protobuf(batch));
  count_spans(state, batch);
}
BENCHMARK(encode_protobuf_by_messages);

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

/// A file of any length, as audit reads it: the same line again and again.
class EndlessLines final : public ByteSource {
 public:
  EndlessLines(const std::string& line, size_t bytes) : line_(line), left_(bytes) {}
  Result<size_t> read(std::span<char> buffer) override {
    const size_t size = std::min({buffer.size(), line_.size() - at_, left_});
    std::copy_n(line_.data() + at_, size, buffer.data());
    at_ = (at_ + size) % line_.size();
    left_ -= size;
    return size;
  }

 private:
  const std::string& line_;
  size_t at_ = 0;
  size_t left_;
};

void read_json_lines(benchmark::State& state) {
  const std::string line = encode_otlp_json(full_batch()) + "\n";
  const size_t bytes = 20 * line.size();
  for (auto _ : state) {
    EndlessLines source(line, bytes);
    const auto summary =
        read_otlp_lines(source, "bench", [](TraceBatch&, int64_t) { return Status(); });
    BASE_CHECK(summary.has_value() && summary->problem_count == 0);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes));
}
BENCHMARK(read_json_lines);

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
