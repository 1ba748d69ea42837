// How many KV blocks there are and how long a request may be: from flags, the model's limit and
// memory. Source: vLLM 0.32 v1/core/kv_cache_utils.py, config/model.py. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"

namespace touchstone::engine {

struct KvMemoryInput {
  /// --kv-cache-memory-bytes, VLLM_CPU_KVCACHE_SPACE; absent: nobody said how much.
  std::optional<int64_t> asked_bytes = {};
  int64_t default_bytes = 0;      ///< the backend's, a ceiling
  int32_t default_percent = 100;  ///< and another: this part of total_bytes
  int64_t total_bytes = 0;        ///< of the device
  int64_t free_bytes = 0;         ///< what the device has besides weights
  int64_t workspace_bytes = 0;    ///< what steps take of it
  int64_t weight_bytes = 0;       ///< for the message
  std::optional<int64_t> num_blocks_override = {};
  int64_t block_bytes = 0;
};

/// Bytes for keys and values: what was asked for, or the default within its part of the device and
/// what is free of it.
/// The pages are the system's until they are touched, so what does not fit is refused here and not
/// found out, by the out-of-memory killer, under load.
/// ERRORS: kUnavailable: steps alone need more than is free; more was asked for, in bytes or in
/// blocks, than they leave.
Result<int64_t> kv_memory(const KvMemoryInput& input);

struct KvSizingInput {
  int64_t block_bytes = 0;                     ///< of one block, all layers
  int32_t block_size = 16;                     ///< tokens
  int64_t memory_bytes = 0;                    ///< for keys and values
  std::optional<int64_t> num_blocks_override;  ///< --num-gpu-blocks-override: instead of memory
  int32_t model_max_len = 0;                   ///< max_position_embeddings
  /// --max-model-len. Absent: the model's. -1: the largest that fits, at most the model's.
  std::optional<int64_t> max_model_len;
};

struct KvSizing {
  int64_t num_blocks = 0;  ///< block 0, the null block, included
  int32_t max_model_len = 0;
};

/// ERRORS: kInvalidArgument: longer than the model allows; one request of that length does not fit
/// (the message names the largest that does).
Result<KvSizing> size_kv(const KvSizingInput& input);

}  // namespace touchstone::engine
