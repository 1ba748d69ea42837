#include "reference_engine/backend/cpu/cpu_backend.h"

#include <algorithm>
#include <optional>
#include <thread>

#include "base/check.h"
#include "base/text.h"
#include "reference_engine/backend/cpu/cpu_features.h"
#include "reference_engine/backend/cpu/decoder.h"
#include "reference_engine/backend/cpu/kv_cache.h"
#include "reference_engine/backend/cpu/thread_pool.h"

namespace touchstone::backend::cpu {
namespace {

// Tokens computed together. More would not be faster and would need more working memory; that
// cutting changes no bits is INV-5.
constexpr int64_t kSlabRows = 504;
constexpr int kMaxThreads = 256;

/// One row of a slab whose logits somebody wants.
struct Wanted {
  size_t sequence;
  size_t token;
  int64_t row;
};

}  // namespace

struct CpuBackend::Impl {
  ModelInfo info;
  std::unique_ptr<ThreadPool> pool;
  std::optional<Decoder> decoder;
  std::optional<KvCache> cache;
  std::vector<sampling::Scratch> scratches;  // per row of a group of logits

  using UseRows = std::function<void(std::span<const Wanted>, const Rows&)>;

  void check(std::span<const SequenceStep> sequences) const;
  void run(std::span<const SequenceStep> sequences,
           const std::function<bool(const SequenceStep&, size_t token)>& wants, const UseRows& use);
  void run_slab(std::span<const SequenceStep> sequences, std::span<const Run> runs,
                std::span<const size_t> owners,
                const std::function<bool(const SequenceStep&, size_t token)>& wants,
                const UseRows& use);
};

void CpuBackend::Impl::check(std::span<const SequenceStep> sequences) const {
  BASE_CHECK(cache.has_value(), "allocate_kv() comes before execute()");
  for (const SequenceStep& step : sequences) {
    const int64_t end = step.first_position + static_cast<int64_t>(step.tokens.size());
    BASE_CHECK(!step.tokens.empty() && step.first_position >= 0, step.request_id);
    BASE_CHECK(static_cast<int64_t>(step.block_table.size()) * cache->block_size() >= end,
               step.request_id, " blocks=", step.block_table.size(), " end=", end);
    BASE_CHECK(!step.sample || step.params != nullptr, step.request_id);
    for (const int32_t token : step.tokens) {
      BASE_CHECK(token >= 0 && token < info.vocab_size, step.request_id, " token=", token);
    }
    for (int64_t i = 0; i * cache->block_size() < end; ++i) {
      const BlockId block = step.block_table[static_cast<size_t>(i)];
      BASE_CHECK(block >= 0 && block < cache->blocks(), step.request_id, " block=", block);
    }
  }
}

void CpuBackend::Impl::run_slab(std::span<const SequenceStep> sequences, std::span<const Run> runs,
                                std::span<const size_t> owners,
                                const std::function<bool(const SequenceStep&, size_t token)>& wants,
                                const UseRows& use) {
  decoder->forward(runs, *cache);
  std::vector<Wanted> wanted;
  std::vector<int64_t> rows;
  for (size_t i = 0; i < runs.size(); ++i) {
    const SequenceStep& step = sequences[owners[i]];
    const size_t before = static_cast<size_t>(runs[i].first_position - step.first_position);
    for (size_t j = 0; j < runs[i].tokens.size(); ++j) {
      if (!wants(step, before + j)) continue;
      rows.push_back(runs[i].first_row + static_cast<int64_t>(j));
      wanted.push_back({owners[i], before + j, rows.back()});
    }
  }
  decoder->logits(rows, [&](int64_t first, const Rows& logits) {
    use(std::span(wanted).subspan(static_cast<size_t>(first), static_cast<size_t>(logits.rows)),
        logits);
  });
}

void CpuBackend::Impl::run(std::span<const SequenceStep> sequences,
                           const std::function<bool(const SequenceStep&, size_t token)>& wants,
                           const UseRows& use) {
  check(sequences);
  std::vector<Run> runs;
  std::vector<size_t> owners;
  int64_t rows = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const SequenceStep& step = sequences[i];
    size_t done = 0;
    while (done < step.tokens.size()) {
      const size_t some =
          std::min(step.tokens.size() - done, static_cast<size_t>(kSlabRows - rows));
      runs.push_back({step.tokens.subspan(done, some),
                      step.first_position + static_cast<int32_t>(done), step.block_table, rows});
      owners.push_back(i);
      done += some;
      rows += static_cast<int64_t>(some);
      if (rows == kSlabRows) {
        run_slab(sequences, runs, owners, wants, use);
        runs.clear();
        owners.clear();
        rows = 0;
      }
    }
  }
  if (rows > 0) run_slab(sequences, runs, owners, wants, use);
}

CpuBackend::CpuBackend(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CpuBackend::~CpuBackend() = default;

const ModelInfo& CpuBackend::model() const { return impl_->info; }

int64_t CpuBackend::kv_block_bytes(int32_t block_size) const {
  return KvCache::block_bytes(impl_->decoder->kv_shape(), block_size);
}

Status CpuBackend::allocate_kv(int64_t num_blocks, int32_t block_size) {
  BASE_CHECK(!impl_->cache.has_value(), "allocate_kv() is called once");
  auto cache = KvCache::make(impl_->decoder->kv_shape(), num_blocks, block_size);
  if (!cache) return std::move(cache).error();
  impl_->cache = *std::move(cache);
  return {};
}

Status CpuBackend::execute(std::span<const SequenceStep> sequences,
                           std::vector<SequenceOutput>& outputs) {
  outputs.assign(sequences.size(), {});
  for (size_t i = 0; i < sequences.size(); ++i) {
    if (sequences[i].prompt_logprobs) outputs[i].prompt_logprobs.resize(sequences[i].tokens.size());
  }
  const size_t vocab = static_cast<size_t>(impl_->info.vocab_size);
  const auto wants = [](const SequenceStep& step, size_t token) {
    const bool last = token + 1 == step.tokens.size();
    return (step.sample && last) || step.prompt_logprobs;
  };
  impl_->scratches.resize(static_cast<size_t>(Decoder::kLogitRows));
  impl_->run(sequences, wants, [&](std::span<const Wanted> wanted, const Rows& logits) {
    impl_->pool->run(logits.rows, [&](int64_t i, int) {
      const size_t index = static_cast<size_t>(i);
      const auto& [sequence, token, row] = wanted[index];
      const SequenceStep& step = sequences[sequence];
      const std::span<const float> values(logits.row(i), vocab);
      if (step.prompt_logprobs) {
        // The next prompt token: in this step, or in the history that the engine gave.
        const size_t next = static_cast<size_t>(step.first_position) + token + 1;
        if (next < step.history.prompt.size()) {
          outputs[sequence].prompt_logprobs[token] = sampling::token_logprobs(
              values, step.history.prompt[next],
              step.params != nullptr ? step.params->prompt_logprobs.value_or(0) : 0);
        }
      }
      if (step.sample && token + 1 == step.tokens.size()) {
        outputs[sequence].sampled =
            sampling::sample(values, *step.params, step.history, impl_->scratches[index]);
      }
    });
  });
  return {};
}

void CpuBackend::execute_for_logits(
    std::span<const SequenceStep> sequences,
    const std::function<void(size_t, size_t, std::span<const float>)>& use) {
  const size_t vocab = static_cast<size_t>(impl_->info.vocab_size);
  const auto wants = [](const SequenceStep&, size_t) { return true; };
  impl_->run(sequences, wants, [&](std::span<const Wanted> wanted, const Rows& logits) {
    for (int64_t i = 0; i < logits.rows; ++i) {
      const Wanted& one = wanted[static_cast<size_t>(i)];
      use(one.sequence, one.token, {logits.row(i), vocab});
    }
  });
}

namespace {

Result<model::DType> choose_dtype(const std::string& name, model::DType stored) {
  if (name == "float32") return model::DType::kFloat32;
  if (name == "bfloat16") return model::DType::kBFloat16;
  if (name == "auto") {
    return stored == model::DType::kBFloat16 ? model::DType::kBFloat16 : model::DType::kFloat32;
  }
  return invalid_argument("--dtype: got " + quote(name) + ", expected auto, float32 or bfloat16");
}

/// Then keeping them as bf16 loses nothing, whatever the arithmetic.
bool all_matrices_are_bf16(const model::DecoderWeights& weights) {
  const auto is_bf16 = [](const model::Tensor& tensor) {
    return tensor.dtype == model::DType::kBFloat16;
  };
  bool all = is_bf16(weights.embedding) && is_bf16(weights.lm_head);
  for (const model::LayerWeights& layer : weights.layers) {
    for (const model::Tensor* tensor :
         {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down}) {
      all = all && is_bf16(*tensor);
    }
  }
  return all;
}

ModelInfo describe(const model::LoadedModel& model, const Decoder& decoder, model::DType dtype,
                   const Kernels& kernels) {
  ModelInfo info;
  info.architecture = model.config.architecture;
  info.vocab_size = model.config.vocab_size;
  info.max_position_embeddings = model.config.max_position_embeddings;
  info.num_layers = model.config.num_layers;
  info.hidden_size = model.config.hidden_size;
  info.num_heads = model.config.num_heads;
  info.num_kv_heads = model.config.num_kv_heads;
  info.head_dim = model.config.head_dim;
  info.num_parameters = model.num_parameters();
  info.weight_bytes = decoder.weight_bytes();
  info.dtype = to_string(dtype);
  info.kernels = kernels.name;
  return info;
}

}  // namespace

Result<std::unique_ptr<CpuBackend>> make_cpu_backend(const model::LoadedModel& model,
                                                     const CpuOptions& options) {
  const auto dtype = choose_dtype(options.dtype, model.config.dtype);
  if (!dtype) return dtype.error();
  const auto kernels = choose_kernels(options.kernels);
  if (!kernels) return kernels.error();
  if (options.threads < 0 || options.threads > kMaxThreads) {
    return invalid_argument("threads: got " + std::to_string(options.threads) +
                            ", expected 0 (all) to " + std::to_string(kMaxThreads));
  }
  int threads = options.threads;
  if (threads == 0) {
    threads = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMaxThreads);
  }
  const bool rounds = *dtype == model::DType::kBFloat16;
  const bool stored_as_bf16 = all_matrices_are_bf16(model.weights);
  auto impl = std::make_unique<CpuBackend::Impl>();
  impl->pool = std::make_unique<ThreadPool>(threads);
  auto decoder =
      Decoder::make(model, rounds || stored_as_bf16 ? Storage::kBFloat16 : Storage::kFloat32,
                    rounds ? Rounding::kBFloat16 : Rounding::kNone, **kernels, *impl->pool);
  if (!decoder) return std::move(decoder).error();
  impl->decoder.emplace(*std::move(decoder));
  impl->info = describe(model, *impl->decoder, *dtype, **kernels);
  return std::make_unique<CpuBackend>(std::move(impl));
}

Result<std::unique_ptr<CpuBackend>> make_cpu_backend(const std::string& folder,
                                                     const CpuOptions& options) {
  auto model = model::load_model(folder);
  if (!model) return std::move(model).error();
  return make_cpu_backend(*model, options);
}

}  // namespace touchstone::backend::cpu
