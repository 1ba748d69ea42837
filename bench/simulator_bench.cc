// Simulated requests per second on one core: 512 tokens in, 128 out, half of each prompt shared by
// a sixteenth of the others; a pool and a rate at which about a hundred requests run. With
// --trace=FILE also a trace of Mooncake (FAST'25: timestamp, input_length, output_length, hash_ids
// of 512 tokens) on one replica, by block size.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "simulator/simulation.h"
#include "simulator/sources.h"
#include "simulator/steptime/linear.h"
#include "simulator/summary.h"

namespace touchstone::simulator {
namespace {

void BM_Simulate(benchmark::State& state) {
  const scheduler::Config config{.num_blocks = 16'384,
                                 .block_size = 16,
                                 .max_num_seqs = 256,
                                 .max_num_batched_tokens = 8192,
                                 .max_model_len = 4096};
  const workload::GenerateOptions load{.seed = 1,
                                       .requests = state.range(0),
                                       .rate_per_s = 30,
                                       .prompt_tokens = {.low = 384, .high = 640},
                                       .output_tokens = {.low = 64, .high = 192},
                                       .prefixes = 16,
                                       .prefix_tokens = 256};
  int64_t steps = 0;
  int64_t tokens = 0;
  for (auto _ : state) {
    const auto source = make_workload_source(generator_feed(load), config);
    const auto model = make_linear_step_time({10'000'000, 20'000, 150'000});
    Summary summary;
    const auto end = run_simulation(config, *source, *model, summary);
    benchmark::DoNotOptimize(end->fingerprint);
    steps = summary.steps;
    tokens = summary.completion_tokens;
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["requests_in_a_step"] = static_cast<double>(tokens) / static_cast<double>(steps);
}
BENCHMARK(BM_Simulate)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

/// The most that this program ever held.
double peak_rss_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

/// The same load for each of so many replicas: a request costs as much behind a router of 64 as
/// behind one of 1, but for its look at each of them. Memory is what is in flight, and what is kept
/// of a million requests; --requests=N adds a row of so many, by itself with --benchmark_filter.
void BM_Fleet(benchmark::State& state, const char* name) {
  const int64_t count = state.range(0);
  const scheduler::Config config{.num_blocks = 16'384,
                                 .block_size = 16,
                                 .max_num_seqs = 256,
                                 .max_num_batched_tokens = 8192,
                                 .max_model_len = 4096};
  const workload::GenerateOptions load{.seed = 1,
                                       .requests = state.range(1),
                                       .rate_per_s = 30.0 * static_cast<double>(count),
                                       .prompt_tokens = {.low = 384, .high = 640},
                                       .output_tokens = {.low = 64, .high = 192},
                                       .prefixes = 16,
                                       .prefix_tokens = 256};
  const auto model = make_linear_step_time({10'000'000, 20'000, 150'000});
  const std::vector<ReplicaOptions> replicas(static_cast<size_t>(count), {config, *model});
  for (auto _ : state) {
    const auto source = make_workload_source(generator_feed(load), config);
    const auto router =
        make_router(name, {.cache_blocks = config.num_blocks, .block_size = config.block_size});
    ClusterSummary summary(replicas.size());
    const auto end = run_simulation(replicas, **router, *source, summary, 0);
    benchmark::DoNotOptimize(end->fingerprint);
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
  state.counters["peak_rss_mib"] = peak_rss_mib();
}
BENCHMARK_CAPTURE(BM_Fleet, least_requests, "least-requests")
    ->Args({1, 100'000})
    ->Args({8, 100'000})
    ->Args({64, 100'000})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Fleet, prefix, "prefix")
    ->Args({1, 100'000})
    ->Args({8, 100'000})
    ->Args({64, 100'000})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

workload::Workload read_trace(const std::string& path) {
  workload::Workload trace;
  const Status read = for_each_line(path, [&](int64_t, std::string_view line) -> Status {
    const auto entry = nlohmann::json::parse(line);
    workload::Request request;
    request.name = "t" + std::to_string(trace.requests.size());
    request.arrival_ns = entry.at("timestamp").get<int64_t>() * kNsPerMs;
    request.prompt_tokens = entry.at("input_length").get<int64_t>();
    request.output_tokens = entry.at("output_length").get<int64_t>();
    request.prefix_block_ids = entry.at("hash_ids").get<std::vector<uint64_t>>();
    request.prefix_block_size = 512;
    trace.requests.push_back(std::move(request));
    return {};
  });
  BASE_CHECK(read.has_value(), path);
  return trace;
}

void BM_Trace(benchmark::State& state, const workload::Workload& trace) {
  const auto block_size = static_cast<int32_t>(state.range(0));
  const scheduler::Config config{.num_blocks = 3'000'000 / block_size,
                                 .block_size = block_size,
                                 .max_num_seqs = 256,
                                 .max_num_batched_tokens = 8192,
                                 .max_model_len = 200'000};
  int64_t hits = 0;
  for (auto _ : state) {
    const auto source = make_workload_source(trace, config);
    const auto model = make_linear_step_time({10'000'000, 20'000, 150'000});
    Summary summary;
    const auto end = run_simulation(config, *source, *model, summary);
    hits = end->counters[0].prefix_cache_hits;
  }
  state.SetItemsProcessed(state.iterations() * std::ssize(trace.requests));
  state.counters["hit_tokens"] = static_cast<double>(hits);
}

}  // namespace
}  // namespace touchstone::simulator

int main(int argc, char** argv) {
  using namespace touchstone;  // NOLINT: a program's own main
  workload::Workload trace;
  const std::string_view flag = "--trace=";
  const auto found = std::find_if(argv + 1, argv + argc, [&](const char* argument) {
    return std::string_view(argument).starts_with(flag);
  });
  if (found != argv + argc) {
    trace = simulator::read_trace(*found + flag.size());
    std::rotate(found, found + 1, argv + argc);
    --argc;
    benchmark::RegisterBenchmark(
        "BM_Trace", [&](benchmark::State& state) { simulator::BM_Trace(state, trace); })
        ->Arg(16)
        ->Arg(64)
        ->Arg(512)
        ->Unit(benchmark::kMillisecond);
  }
  const std::string_view more = "--requests=";
  const auto wanted = std::find_if(argv + 1, argv + argc, [&](const char* argument) {
    return std::string_view(argument).starts_with(more);
  });
  if (wanted != argv + argc) {
    const auto requests = parse_int(*wanted + more.size());
    BASE_CHECK(requests && *requests > 0, *wanted);
    std::rotate(wanted, wanted + 1, argv + argc);
    --argc;
    benchmark::RegisterBenchmark(
        "BM_Growth", [](benchmark::State& state) { simulator::BM_Fleet(state, "least-requests"); })
        ->Args({8, *requests})
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
