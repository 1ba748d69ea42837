#include "reference_engine/backend/cpu/executor.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/text.h"
#include "reference_engine/backend/cpu/cpu_features.h"

namespace touchstone::backend::cpu {
namespace {

// Tokens computed together. More would not be faster and would need more working memory; that
// cutting changes no bits is INV-5.
constexpr int64_t kSlabRows = 504;
constexpr int kMaxThreads = 256;

Result<model::DType> choose_dtype(const std::string& name, model::DType stored) {
  if (name == "float32") return model::DType::kFloat32;
  if (name == "bfloat16") return model::DType::kBFloat16;
  if (name == "auto") {
    return stored == model::DType::kBFloat16 ? model::DType::kBFloat16 : model::DType::kFloat32;
  }
  return invalid_argument("--dtype: got " + quote(name) + ", expected auto, float32 or bfloat16");
}

/// Then keeping them as bf16 loses nothing, whatever the arithmetic.
bool all_matrices_are_bf16(const model::LoadedModel& model) {
  const auto is_bf16 = [](const model::Tensor& tensor) {
    return tensor.dtype == model::DType::kBFloat16;
  };
  bool all = true;
  model::DecoderWeights weights = model.weights;  // of places, not of elements
  model::visit_tensors(model.config, weights,
                       [&](const std::string&, const std::vector<int64_t>&, model::TensorRole role,
                           model::Tensor& tensor) {
                         if (role == model::TensorRole::kMatrix) all = all && is_bf16(tensor);
                       });
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
  info.sliding_window = model.config.spec.common_window().value_or(0);
  info.num_parameters = model.num_parameters();
  info.weight_bytes = decoder.weight_bytes();
  info.dtype = to_string(dtype);
  info.kernels = kernels.name;
  return info;
}

/// The part of the step that is computed at once.
struct Slab {
  std::vector<Run> runs;
  std::vector<size_t> owners;  // segment of each run
  int64_t rows = 0;
};

}  // namespace

Result<std::unique_ptr<Executor>> Executor::make(const model::LoadedModel& model,
                                                 const CpuOptions& options) {
  const auto dtype = choose_dtype(options.dtype, model.config.dtype);
  if (!dtype) return dtype.error();
  const auto kernels = choose_kernels(options.kernels);
  if (!kernels) return kernels.error();
  if (options.threads < 0 || options.threads > kMaxThreads) {
    return invalid_argument("--threads: got " + std::to_string(options.threads) +
                            ", expected 0 (all) to " + std::to_string(kMaxThreads));
  }
  int threads = options.threads;
  if (threads == 0) {
    threads = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMaxThreads);
  }
  const bool rounds = *dtype == model::DType::kBFloat16;
  const bool stored_as_bf16 = all_matrices_are_bf16(model);
  std::unique_ptr<Executor> executor(new Executor(threads));
  auto decoder =
      Decoder::make(model, rounds || stored_as_bf16 ? Storage::kBFloat16 : Storage::kFloat32,
                    rounds ? Rounding::kBFloat16 : Rounding::kNone, **kernels, executor->pool_);
  if (!decoder) return std::move(decoder).error();
  executor->decoder_.emplace(*std::move(decoder));
  executor->adapters_.resize(static_cast<size_t>(options.adapter_slots));
  executor->max_adapter_rank_ = options.max_adapter_rank;
  executor->info_ = describe(model, *executor->decoder_, *dtype, **kernels);
  return executor;
}

int64_t Executor::kv_block_bytes(int32_t block_size) const {
  return KvCache::block_bytes(decoder_->kv_shape(), block_size);
}

int64_t Executor::workspace_bytes(const Limits& limits) const {
  const int64_t rows = std::min<int64_t>(limits.max_num_batched_tokens, kSlabRows);
  const int64_t bytes = decoder_->workspace_bytes(rows, limits.max_model_len);
  if (adapters_.empty()) return bytes;
  const model::Config& config = decoder_->config();
  return bytes + PackedAdapter::workspace_bytes(config, max_adapter_rank_, rows) +
         std::ssize(adapters_) *
             PackedAdapter::bytes_max(config, max_adapter_rank_, decoder_->adapter_storage());
}

Status Executor::load_adapter(int32_t slot, const AdapterSource& source) {
  BASE_CHECK(slot >= 0 && slot < std::ssize(adapters_), "adapter slot ", slot);
  const auto loaded = model::load_adapter(source.folder, decoder_->config(), max_adapter_rank_);
  if (!loaded) return loaded.error();
  if (loaded->sha256 != source.sha256) {
    return malformed(source.folder + ": the adapter's files have changed since it was loaded",
                     "load it again, under a name of its own or with load_inplace");
  }
  auto packed = decoder_->pack_adapter(*loaded);
  if (!packed) return std::move(packed).error();
  adapters_[static_cast<size_t>(slot)] = *std::move(packed);
  return {};
}

Status Executor::allocate_kv(int64_t num_blocks, int32_t block_size) {
  BASE_CHECK(!cache_.has_value(), "allocate_kv() is called once");
  auto cache = KvCache::make(decoder_->kv_shape(), num_blocks, block_size);
  if (!cache) return std::move(cache).error();
  cache_ = *std::move(cache);
  return {};
}

void Executor::check(std::span<const Segment> segments) const {
  BASE_CHECK(cache_.has_value(), "allocate_kv() comes before the first plan");
  for (const Segment& segment : segments) {
    const int64_t end = segment.first_position + static_cast<int64_t>(segment.tokens.size());
    if (const auto slot = segment.adapter_slot) {
      BASE_CHECK(*slot >= 0 && *slot < std::ssize(adapters_), "adapter slot ", *slot);
      BASE_CHECK(adapters_[static_cast<size_t>(*slot)].has_value(), "adapter slot ", *slot);
    }
    BASE_CHECK(!segment.tokens.empty() && segment.first_position >= 0, segment.first_position);
    BASE_CHECK(static_cast<int64_t>(segment.block_table.size()) * cache_->block_size() >= end,
               "blocks=", segment.block_table.size(), " end=", end);
    for (const int32_t token : segment.tokens) {
      BASE_CHECK(token >= 0 && token < info_.vocab_size, "token=", token);
    }
    for (int64_t i = 0; i * cache_->block_size() < end; ++i) {
      const BlockId block = segment.block_table[static_cast<size_t>(i)];
      BASE_CHECK(block >= 0 && block < cache_->blocks(), "block=", block);
    }
  }
}

void Executor::run(std::span<const Segment> segments,
                   const std::function<bool(size_t segment, size_t token)>& wants,
                   const std::function<void(std::span<const Wanted>, const Rows& logits)>& use) {
  check(segments);
  Slab slab;
  const auto compute = [&] {
    decoder_->forward(slab.runs, *cache_);
    std::vector<Wanted> wanted;
    std::vector<int64_t> rows;
    for (size_t i = 0; i < slab.runs.size(); ++i) {
      const Run& run = slab.runs[i];
      const size_t owner = slab.owners[i];
      const size_t before =
          static_cast<size_t>(run.first_position - segments[owner].first_position);
      for (size_t j = 0; j < run.tokens.size(); ++j) {
        if (!wants(owner, before + j)) continue;
        rows.push_back(run.first_row + static_cast<int64_t>(j));
        wanted.push_back({owner, before + j});
      }
    }
    decoder_->logits(rows, [&](int64_t first, const Rows& logits) {
      use(std::span(wanted).subspan(static_cast<size_t>(first), static_cast<size_t>(logits.rows)),
          logits);
    });
    slab = {};
  };
  for (size_t i = 0; i < segments.size(); ++i) {
    const Segment& segment = segments[i];
    const PackedAdapter* const adapter =
        segment.adapter_slot ? &*adapters_[static_cast<size_t>(*segment.adapter_slot)] : nullptr;
    size_t done = 0;
    while (done < segment.tokens.size()) {
      const size_t some =
          std::min(segment.tokens.size() - done, static_cast<size_t>(kSlabRows - slab.rows));
      slab.runs.push_back({segment.tokens.subspan(done, some),
                           segment.first_position + static_cast<int32_t>(done), segment.block_table,
                           slab.rows, adapter});
      slab.owners.push_back(i);
      done += some;
      slab.rows += static_cast<int64_t>(some);
      if (slab.rows == kSlabRows) compute();
    }
  }
  if (slab.rows > 0) compute();
}

}  // namespace touchstone::backend::cpu
