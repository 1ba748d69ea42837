// What an audit costs: the judge alone on spans in memory, and a whole file of OTLP JSON lines.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <filesystem>
#include <string>

#include "base/check.h"
#include "base/files.h"
#include "bench/span_file.h"
#include "conformance/evidence_reader.h"
#include "telemetry/otlp/json.h"

namespace touchstone::conformance {
namespace {

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
    batches.push_back(bench::span_batch(static_cast<uint64_t>(i * bench::kSpansOfBatch)));
  }
  const size_t line_bytes = telemetry::encode_otlp_json(batches[0]).size() + 1;
  const std::vector<Profile> profiles = vllm_v1();
  const Evidence evidence;
  for (auto _ : state) {
    Judge judge(evidence, profiles, {});
    for (const telemetry::TraceBatch& batch : batches) BASE_CHECK(judge.add(batch).has_value());
    BASE_CHECK(judge.finish()->verdict == result::Verdict::kPass);
  }
  state.SetItemsProcessed(state.iterations() * kBatches * bench::kSpansOfBatch);
  state.SetBytesProcessed(state.iterations() * kBatches * static_cast<int64_t>(line_bytes));
}
BENCHMARK(judge_spans)->Unit(benchmark::kMillisecond);

/// Argument: size of the file in MB. `resident_mb` is the most that this program ever had.
void audit_file(benchmark::State& state) {
  const auto wanted = static_cast<uint64_t>(state.range(0)) << 20;
  const auto folder = TemporaryDirectory::make("touchstone-bench");
  BASE_CHECK(folder.has_value());
  EvidencePaths paths;
  paths.spans = {folder->path() + "/spans.jsonl"};
  const auto spans = bench::write_span_file(paths.spans[0], wanted);
  BASE_CHECK(spans.has_value());
  const auto bytes = std::filesystem::file_size(paths.spans[0]);
  const std::vector<Profile> profiles = vllm_v1();
  for (auto _ : state) {
    const auto judged = judge_files(paths, 0, profiles, {});
    BASE_CHECK(judged.has_value() && judged->report.verdict == result::Verdict::kPass);
  }
  state.SetItemsProcessed(state.iterations() * *spans);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes));
  state.counters["resident_mb"] = resident_mb();
}
BENCHMARK(audit_file)->Arg(64)->Arg(1024)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace touchstone::conformance

BENCHMARK_MAIN();
