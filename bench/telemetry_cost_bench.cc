// What telemetry costs the engine thread, on and off in one run: the calls that the engine makes
// for a request of 128 tokens, one for each step it was in and one at its end, by what is switched
// on. Spans go to a receiver in this process, so that batches, encoding and sending go on beside
// it; the time counted is the calling thread's processor time.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "base/check.h"
#include "base/files.h"
#include "bench/typical_record.h"
#include "reference_engine/server/telemetry_sinks.h"
#include "telemetry/export/otlp_receiver.h"

namespace touchstone::server {
namespace {

constexpr int kTokens = 128;
constexpr int kBatch = 32;  // requests of a step share it

records::RequestRecord typical_record(int64_t number) {
  records::RequestRecord record = bench::typical_record();
  record.request_id = "cmpl-" + std::to_string(number) + "-0";
  record.completion_tokens = kTokens;
  record.max_tokens = kTokens;
  return record;
}

records::StepStats typical_step() {
  records::StepStats stats;
  stats.running = kBatch;
  stats.kv_cache_usage = 0.5;
  stats.generation_tokens = kBatch;
  stats.inter_token_latency_ns.assign(kBatch, 12'000'000);
  return stats;
}

enum Switch { kOff, kMetrics, kSpans, kEveryDialect, kSpool };
constexpr const char* kNames[] = {"off", "metrics", "metrics, spans", "metrics, every dialect",
                                  "metrics, spans, spool"};

void request(benchmark::State& state) {
  const auto on = static_cast<Switch>(state.range(0));
  state.SetLabel(kNames[on]);
  auto receiver = telemetry::OtlpReceiver::start(
      {.take = [](const telemetry::OtlpExport&) { return telemetry::OtlpAnswer{}; }});
  BASE_CHECK(receiver.has_value());
  const auto folder = TemporaryDirectory::make("telemetry-cost");
  BASE_CHECK(folder.has_value());
  TelemetrySinks::Options options;
  options.metrics.model_name = "tiny";
  options.metrics.max_model_len = 8192;
  options.metrics.process_metrics = false;
  options.log_stats = on != kOff;
  options.served_models = {"tiny"};
  if (on >= kSpans) options.otlp_traces_endpoint = (*receiver)->endpoint();
  if (on == kEveryDialect) {
    options.span_dialects = "vllm,vllm-v0,audit,phases,tutorial,genai,http";
  }
  if (on == kSpool) options.spool = telemetry::SpoolOptions{.directory = folder->path() + "/spool"};
  options.environment = {{"OTEL_BSP_MAX_QUEUE_SIZE", "100000"}};
  const RealClock clock;
  const ServerLog::Write log = [](const std::string&) { return true; };
  auto sinks = TelemetrySinks::open(options, scheduler::Config{}, clock, log);
  BASE_CHECK(sinks.has_value());
  const records::StepStats step = typical_step();
  int64_t number = 0;
  for (auto _ : state) {
    // A request's share of the steps, and its end.
    for (int i = 0; i < kTokens / kBatch; ++i) (*sinks)->on_stats(step);
    (*sinks)->on_request(typical_record(++number));
  }
  state.SetItemsProcessed(state.iterations());
  BASE_CHECK((*sinks)->close().has_value());
}
BENCHMARK(request)->DenseRange(kOff, kSpool)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace touchstone::server

BENCHMARK_MAIN();
