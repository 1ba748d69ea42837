// The speed of a backend behind the C table, in this process: decode and prefill of a shape with
// random weights, as the engine drives it (one plan ahead). Prints rows of a table. Made for the
// CUDA plugin; any plugin will do.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"
#include "reference_engine/backend/plugin_backend.h"

namespace touchstone::bench {
namespace {

using namespace backend;  // NOLINT: a benchmark of exactly that

struct Options {
  std::string plugin;
  std::string model;
  std::string load_format = "dummy";
  std::string dtype = "auto";
  std::string gemm;
  std::vector<int32_t> batches = {1, 8, 64};
  int32_t context = 512;
  int32_t prompt = 2048;
  int32_t steps = 64;
  int32_t block_size = 16;
};

template <typename T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "bench_cuda_engine: %s\n", result.error().message.c_str());
    std::exit(3);
  }
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

class Bench final {
 public:
  Bench(const Options& options, Backend& backend) : options_(options), backend_(backend) {}

  void decode(int32_t batch) {
    std::vector<std::vector<BlockId>> tables;
    BlockId next = 1;
    const int32_t longest = options_.context + options_.steps + 2;
    for (int32_t i = 0; i < batch; ++i) {
      tables.emplace_back((longest + options_.block_size - 1) / options_.block_size);
      std::iota(tables.back().begin(), tables.back().end(), next);
      next += static_cast<BlockId>(tables.back().size());
    }
    std::vector<RequestId> ids;
    for (int32_t i = 0; i < batch; ++i) {
      ids.push_back(prefill(options_.context, tables[static_cast<size_t>(i)]));
    }
    const std::vector<int32_t> in_flight = {kTokenInFlight};
    std::vector<int32_t> first = {1};
    std::vector<double> step_ns;
    std::vector<double> submit_ns;
    int64_t last_ns = clock_.monotonic_ns();
    for (int32_t step = 0; step <= options_.steps; ++step) {
      std::vector<Entry> entries;
      for (size_t i = 0; i < ids.size(); ++i) {
        entries.push_back({.request_id = ids[i],
                           .tokens = step == 0 ? first : in_flight,
                           .first_position = options_.context + step,
                           .block_table = tables[i],
                           .sample = true});
      }
      const int64_t before_ns = clock_.monotonic_ns();
      must(backend_.submit({entries}));
      submit_ns.push_back(static_cast<double>(clock_.monotonic_ns() - before_ns));
      if (step == 0) continue;  // one plan ahead
      must(backend_.wait(outputs_));
      const int64_t now_ns = clock_.monotonic_ns();
      step_ns.push_back(static_cast<double>(now_ns - last_ns));
      last_ns = now_ns;
    }
    must(backend_.wait(outputs_));
    for (const RequestId id : ids) backend_.end(id);
    const ModelInfo& model = backend_.model();
    const double kv_bytes = static_cast<double>(batch) * options_.context *
                            static_cast<double>(kv_block_bytes_) / options_.block_size;
    const double bytes = static_cast<double>(model.weight_bytes) + kv_bytes;
    std::printf(
        "| decode, batch %d, context %d | %.3f ms a step | %.0f tokens/s | %.0f GB/s of "
        "weights and KV | submit %.1f us |\n",
        batch, options_.context, median(step_ns) * 1e-6, batch / median(step_ns) * 1e9,
        bytes / median(step_ns), median(submit_ns) * 1e-3);
  }

  void prompts() {
    std::vector<BlockId> table((options_.prompt + options_.block_size) / options_.block_size + 1);
    std::iota(table.begin(), table.end(), 1);
    std::vector<double> ns;
    for (int i = 0; i < 8; ++i) {
      const int64_t before_ns = clock_.monotonic_ns();
      backend_.end(prefill(options_.prompt, table));
      ns.push_back(static_cast<double>(clock_.monotonic_ns() - before_ns));
    }
    const ModelInfo& model = backend_.model();
    const double embedding = static_cast<double>(model.vocab_size) * model.hidden_size;
    const double flops =
        2.0 * (static_cast<double>(model.num_parameters) - embedding) * options_.prompt;
    std::printf(
        "| prefill, %d tokens | %.2f ms | %.0f tokens/s | %.1f TFLOP/s without attention "
        "| |\n",
        options_.prompt, median(ns) * 1e-6, options_.prompt / median(ns) * 1e9,
        flops / median(ns) * 1e-3);
  }

  void set_kv_block_bytes(int64_t bytes) { kv_block_bytes_ = bytes; }

 private:
  RequestId prefill(int32_t length, const std::vector<BlockId>& table) {
    RandomStream random(7, "prompt");
    std::vector<int32_t> prompt;
    for (int32_t i = 0; i < length; ++i) {
      prompt.push_back(
          static_cast<int32_t>(random.below(static_cast<uint64_t>(backend_.model().vocab_size))));
    }
    sampling::Params params;
    params.temperature = 0;
    must(backend_.begin(++last_id_, params, prompt));
    const Entry entry{
        .request_id = last_id_, .tokens = prompt, .block_table = table, .sample = true};
    must(backend_.submit({{&entry, 1}}));
    must(backend_.wait(outputs_));
    return last_id_;
  }

  const Options& options_;
  Backend& backend_;
  RealClock clock_;
  Outputs outputs_;
  RequestId last_id_ = 0;
  int64_t kv_block_bytes_ = 0;
};

void run(const Options& options) {
  const auto plugin = must(load_plugin(options.plugin));
  must(plugin->probe());
  BackendOptions chosen{.dtype = options.dtype, .load_format = options.load_format};
  if (!options.gemm.empty()) chosen.settings["gemm"] = options.gemm;
  const auto backend = must(plugin->create(options.model, chosen));
  const int32_t most = *std::max_element(options.batches.begin(), options.batches.end());
  const int32_t longest = std::max(options.context + options.steps + 2, options.prompt + 1);
  const Limits limits{.max_num_batched_tokens = std::max(options.prompt, options.context),
                      .max_num_seqs = most,
                      .max_model_len = longest,
                      .block_size = options.block_size};
  const Sizes sizes = must(backend->size(limits));
  const int64_t blocks = 2 + static_cast<int64_t>(most + 1) * (longest / options.block_size + 2);
  must(backend->allocate_kv(blocks, options.block_size));
  const ModelInfo& model = backend->model();
  std::printf("%s, %s, %s, kernels %s\n\n| | | | | |\n|---|---|---|---|---|\n",
              options.model.c_str(), model.dtype.c_str(), model.device.c_str(),
              model.kernels.c_str());
  Bench bench(options, *backend);
  bench.set_kv_block_bytes(sizes.kv_block_bytes);
  for (const int32_t batch : options.batches) bench.decode(batch);
  bench.prompts();
}

}  // namespace
}  // namespace touchstone::bench

int main(int argc, char** argv) {
  touchstone::bench::Options options;
  CLI::App app("Decode and prefill speed of a backend plugin");
  app.add_option("plugin", options.plugin, "Shared object")->required();
  app.add_option("model", options.model, "Folder with config.json")->required();
  app.add_option("--load-format", options.load_format)->capture_default_str();
  app.add_option("--dtype", options.dtype)->capture_default_str();
  app.add_option("--gemm", options.gemm);
  app.add_option("--batches", options.batches)->delimiter(',')->capture_default_str();
  app.add_option("--context", options.context)->capture_default_str();
  app.add_option("--prompt", options.prompt)->capture_default_str();
  app.add_option("--steps", options.steps)->check(CLI::PositiveNumber)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  touchstone::bench::run(options);
}
