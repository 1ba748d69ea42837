// Paged keys and values on the device: for each layer the keys of all blocks, then the values.
// Move-only; thread-compatible.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "reference_engine/backend/cuda/device_memory.h"
#include "reference_engine/backend/cuda/kernels.h"

namespace touchstone::backend::cuda {

struct KvShape {
  Element element = Element::kFloat32;
  int32_t layers = 0;
  int32_t heads = 0;
  int32_t head_dim = 0;
};

class KvCache final {
 public:
  KvCache() = default;
  /// Zeroed. ERRORS: kUnavailable with the bytes needed and free.
  static Result<KvCache> make(Device& device, const KvShape& shape, int64_t blocks,
                              int32_t block_size);
  /// Bytes of one block over all layers.
  static int64_t block_bytes(const KvShape& shape, int32_t block_size);

  int64_t blocks() const { return blocks_; }
  int32_t block_size() const { return block_size_; }
  KvPages pages(int32_t layer) const;

 private:
  KvShape shape_;
  int64_t blocks_ = 0;
  int32_t block_size_ = 0;
  DeviceBuffer memory_;
};

}  // namespace touchstone::backend::cuda
