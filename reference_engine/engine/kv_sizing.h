// How many KV blocks there are and how long a request may be: from flags, the model's limit and
// memory. Source: vLLM 0.32 v1/core/kv_cache_utils.py, config/model.py. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"

namespace touchstone::engine {

struct KvSizingInput {
  int64_t block_bytes = 0;                     ///< of one block, all layers
  int32_t block_size = 16;                     ///< tokens
  int64_t memory_bytes = 0;                    ///< for keys and values
  std::optional<int64_t> num_blocks_override;  ///< --num-gpu-blocks-override: memory is not asked
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
