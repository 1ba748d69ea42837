// Tokens per second of the CPU backend on a 0.1 B Llama shape with random weights, beside the
// machine's ceilings: decode against memory bandwidth (every step reads all weights once), prefill
// against the rate of fused multiply-adds.
#include <benchmark/benchmark.h>

#include <map>
#include <memory>
#include <vector>

#include "bench/kernels_ceilings.h"
#include "reference_engine/backend/cpu/cpu_backend.h"
#include "reference_engine/backend/cpu/cpu_features.h"
#include "reference_engine/model/random_model.h"

namespace touchstone::bench {
namespace {

using namespace backend;       // NOLINT: a benchmark of exactly that
using namespace backend::cpu;  // NOLINT

constexpr int32_t kBlockSize = 16;
constexpr int64_t kBlocks = 4096;

model::Config shape(model::DType dtype) {
  model::Config config;
  config.architecture = "LlamaForCausalLM";
  config.vocab_size = 32000;
  config.hidden_size = 768;
  config.intermediate_size = 2048;
  config.num_layers = 12;
  config.num_heads = 12;
  config.num_kv_heads = 4;
  config.head_dim = 64;
  config.max_position_embeddings = 4096;
  config.spec.tied_embeddings = true;
  config.spec.rope = model::RopeSpec{.inverse_frequencies = model::rope_table(10000, 64)};
  config.dtype = dtype;
  return config;
}

CpuBackend& backend_for(bool bf16, int64_t table) {
  static std::map<std::pair<bool, int64_t>, std::unique_ptr<CpuBackend>> made;
  auto& entry = made[{bf16, table}];
  if (entry == nullptr) {
    made.clear();  // one at a time: they are large
    auto& fresh = made[{bf16, table}];
    const auto model =
        model::random_model(shape(bf16 ? model::DType::kBFloat16 : model::DType::kFloat32), 1);
    auto executor =
        Executor::make(model, {.kernels = supported_kernels()[static_cast<size_t>(table)]->name});
    BASE_CHECK(executor.has_value(), executor.error().message);
    fresh = std::make_unique<CpuBackend>(*std::move(executor));
    const Status status = fresh->allocate_kv(kBlocks, kBlockSize);
    BASE_CHECK(status.has_value(), status.error().message);
    return *fresh;
  }
  return *entry;
}

/// Sequences of equal length, greedy, each with blocks of its own.
struct Batch {
  std::vector<int32_t> tokens;
  std::vector<std::vector<BlockId>> tables;
  std::vector<Entry> entries;

  Batch(int64_t count, int64_t new_tokens, int64_t position) {
    tokens.assign(static_cast<size_t>(new_tokens), 17);
    const int64_t blocks = (position + new_tokens) / kBlockSize + 1;
    for (int64_t i = 0; i < count; ++i) {
      std::vector<BlockId> table;
      for (int64_t j = 0; j < blocks; ++j) {
        table.push_back(static_cast<BlockId>((1 + i * blocks + j) % kBlocks));
      }
      tables.push_back(std::move(table));
    }
    for (const auto& table : tables) {
      entries.push_back({.request_id = entries.size(),
                         .tokens = tokens,
                         .first_position = static_cast<int32_t>(position),
                         .block_table = table,
                         .sample = true});
    }
  }
};

void run(benchmark::State& state, CpuBackend& backend, const Batch& batch) {
  sampling::Params params;
  params.temperature = 0;
  for (const Entry& entry : batch.entries) {
    BASE_CHECK(backend.begin(entry.request_id, params, batch.tokens).has_value());
  }
  Outputs outputs;
  for (auto _ : state) {
    const Status submitted = backend.submit({batch.entries});
    BASE_CHECK(submitted.has_value());
    const Status done = backend.wait(outputs);
    BASE_CHECK(done.has_value());
  }
  for (const Entry& entry : batch.entries) backend.end(entry.request_id);
  const double tokens = static_cast<double>(batch.entries.size() * batch.tokens.size());
  state.counters["tokens_per_s"] =
      benchmark::Counter(tokens, benchmark::Counter::kIsIterationInvariantRate);
  state.SetLabel(backend.model().dtype + " " + backend.model().kernels);
}

/// Arguments: batch, position, bf16, kernels.
void decode(benchmark::State& state) {
  CpuBackend& backend = backend_for(state.range(2) != 0, state.range(3));
  run(state, backend, Batch(state.range(0), 1, state.range(1)));
  const double bytes = static_cast<double>(backend.model().weight_bytes);
  state.counters["of_bandwidth"] = benchmark::Counter(
      bytes / ceilings().read_bytes_per_second, benchmark::Counter::kIsIterationInvariantRate);
}

/// Arguments: prompt tokens, bf16, kernels.
void prefill(benchmark::State& state) {
  CpuBackend& backend = backend_for(state.range(1) != 0, state.range(2));
  run(state, backend, Batch(1, state.range(0), 0));
  const auto& info = backend.model();
  const double head = static_cast<double>(info.vocab_size) * info.hidden_size;
  const double matrices = static_cast<double>(info.num_parameters) - head;
  const double flops = 2 * (matrices * static_cast<double>(state.range(0)) + head);
  state.counters["of_flops"] = benchmark::Counter(flops / ceilings().flops_per_second,
                                                  benchmark::Counter::kIsIterationInvariantRate);
}

void register_all() {
  const int64_t tables = static_cast<int64_t>(supported_kernels().size());
  for (const int64_t bf16 : {1, 0}) {
    for (int64_t table = 0; table < tables; ++table) {
      for (const int64_t batch : {1, 4, 16, 64}) {
        if (table > 1 && batch != 1) continue;
        benchmark::RegisterBenchmark("decode", decode)
            ->Args({batch, 64, bf16, table})
            ->ArgNames({"batch", "position", "bf16", "kernels"})
            ->Unit(benchmark::kMillisecond)
            ->UseRealTime();
      }
      if (table == 0) {
        benchmark::RegisterBenchmark("decode", decode)
            ->Args({1, 2048, bf16, table})
            ->ArgNames({"batch", "position", "bf16", "kernels"})
            ->Unit(benchmark::kMillisecond)
            ->UseRealTime();
      }
      if (std::string(supported_kernels()[static_cast<size_t>(table)]->name) == "portable")
        continue;
      benchmark::RegisterBenchmark("prefill", prefill)
          ->Args({512, bf16, table})
          ->ArgNames({"tokens", "bf16", "kernels"})
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    }
  }
}

}  // namespace
}  // namespace touchstone::bench

int main(int argc, char** argv) {
  touchstone::bench::register_all();
  return touchstone::bench::run_beside_ceilings(argc, argv);
}
