#include "reference_engine/engine/kv_sizing.h"

#include <algorithm>
#include <string>

#include "base/text.h"

namespace touchstone::engine {
namespace {

std::string mebibytes(int64_t bytes) {
  return format_fixed(static_cast<double>(bytes) / (1 << 20), 2) + " MiB";
}

}  // namespace

Result<int64_t> kv_memory(const KvMemoryInput& input) {
  const int64_t free = input.free_bytes - input.workspace_bytes;
  if (free <= 0) {
    return unavailable("working memory: needs " + mebibytes(input.workspace_bytes) +
                           " besides weights of " + mebibytes(input.weight_bytes) + ", free are " +
                           mebibytes(std::max<int64_t>(0, input.free_bytes)) + " of " +
                           mebibytes(input.total_bytes),
                       "lower --max-num-batched-tokens, --max-num-seqs or --max-model-len, or "
                       "raise the container's memory limit (on a GPU: --gpu-memory-utilization)");
  }
  const int64_t bytes = input.asked_bytes.value_or(
      std::min({input.default_bytes, input.total_bytes / 100 * input.default_percent, free}));
  const int64_t needed =
      input.num_blocks_override ? *input.num_blocks_override * input.block_bytes : bytes;
  if (needed > free) {
    return unavailable(
        "KV cache: needs " + mebibytes(needed) + " of memory, free are " + mebibytes(free),
        "lower --kv-cache-memory-bytes, VLLM_CPU_KVCACHE_SPACE or --num-gpu-blocks-override, or "
        "raise the container's memory limit (on a GPU: --gpu-memory-utilization)");
  }
  return bytes;
}

Result<KvSizing> size_kv(const KvSizingInput& input) {
  KvSizing sizing;
  sizing.num_blocks = input.num_blocks_override.value_or(input.memory_bytes / input.block_bytes);
  // One block is the null block.
  const int64_t fits = std::min<int64_t>(
      std::max<int64_t>(0, sizing.num_blocks - 1) * input.block_size, input.model_max_len);
  const int64_t wanted = input.max_model_len.value_or(input.model_max_len);
  if (wanted == -1 && fits > 1) {
    sizing.max_model_len = static_cast<int32_t>(fits);
    return sizing;
  }
  if (wanted > input.model_max_len) {
    return invalid_argument("--max-model-len: got " + std::to_string(wanted) +
                                ", expected at most " + std::to_string(input.model_max_len) +
                                ", the model's max_position_embeddings",
                            "leave the flag out to use the model's own limit");
  }
  if (wanted > fits || fits <= 1) {
    const int64_t needed =
        ((std::max<int64_t>(wanted, 1) + input.block_size - 1) / input.block_size + 1) *
        input.block_bytes;
    const std::string have = input.num_blocks_override
                                 ? "--num-gpu-blocks-override gives " +
                                       std::to_string(*input.num_blocks_override) + " blocks of " +
                                       std::to_string(input.block_size) + " tokens"
                                 : mebibytes(input.memory_bytes) + " are available";
    return invalid_argument(
        "KV cache: one request of --max-model-len " + std::to_string(wanted) + " needs " +
            mebibytes(needed) + ", but " + have + "; the largest --max-model-len that fits is " +
            std::to_string(fits),
        "lower --max-model-len, or raise --kv-cache-memory-bytes, VLLM_CPU_KVCACHE_SPACE or "
        "--num-gpu-blocks-override");
  }
  sizing.max_model_len = static_cast<int32_t>(wanted);
  return sizing;
}

}  // namespace touchstone::engine
