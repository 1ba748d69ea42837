// Simulated requests per second on one core: 512 tokens in, 128 out, half of each prompt shared by
// a sixteenth of the others; a pool and a rate at which about a hundred requests run.
#include <benchmark/benchmark.h>

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
    const auto source = make_generator_source(load, config);
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

}  // namespace
}  // namespace touchstone::simulator

BENCHMARK_MAIN();
