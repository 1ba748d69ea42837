// Paged keys and values: blocks of positions, for every layer and KV head. Keys lie transposed in
// groups of 16 positions so that one vector step scores 16 of them; values lie row by row.
// Thread-compatible; different positions may be written at the same time.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "reference_engine/backend/cpu/buffer.h"
#include "reference_engine/backend/cpu/kernels.h"

namespace touchstone::backend::cpu {

struct KvShape {
  int32_t layers = 0;
  int32_t heads = 0;
  int32_t head_dim = 0;
  Storage storage = Storage::kFloat32;
};

class KvCache final {
 public:
  KvCache() = default;
  /// ERRORS: kUnavailable. REQUIRES: blocks >= 1, block_size >= 1.
  static Result<KvCache> make(const KvShape& shape, int64_t blocks, int32_t block_size);
  /// Bytes of one block over all layers.
  static int64_t block_bytes(const KvShape& shape, int32_t block_size);

  int64_t blocks() const { return blocks_; }
  int32_t block_size() const { return block_size_; }
  /// Bytes from one block to the next within a layer.
  int64_t layer_block_bytes() const;
  const std::byte* keys(int32_t layer, int32_t head) const;
  const std::byte* values(int32_t layer, int32_t head) const;
  /// Stores key and value, (head_dim) f32 each, rounded when the storage is bf16.
  void write(int32_t layer, int32_t head, int32_t block, int32_t slot, const float* key,
             const float* value);

 private:
  KvShape shape_;
  int64_t blocks_ = 0;
  int32_t block_size_ = 0;
  Buffer buffer_;
};

}  // namespace touchstone::backend::cpu
