#include "reference_engine/backend/cuda/kv_cache.h"

#include "base/check.h"

namespace touchstone::backend::cuda {
namespace {

/// Elements of one layer's keys, or values, of one block.
int64_t block_elements(const KvShape& shape, int32_t block_size) {
  return int64_t{shape.heads} * block_size * cached_head_dim(shape.head_dim);
}

}  // namespace

int64_t KvCache::block_bytes(const KvShape& shape, int32_t block_size) {
  return 2 * shape.layers * block_elements(shape, block_size) * element_bytes(shape.element);
}

Result<KvCache> KvCache::make(Device& device, const KvShape& shape, int64_t blocks,
                              int32_t block_size) {
  BASE_CHECK(blocks >= 1 && block_size >= 1, blocks, " ", block_size);
  auto memory = DeviceBuffer::make(device, blocks * block_bytes(shape, block_size), "KV cache");
  if (!memory) return std::move(memory).error();
  RETURN_IF_ERROR(device.fill_zero(memory->at(), memory->size()));
  KvCache cache;
  cache.shape_ = shape;
  cache.blocks_ = blocks;
  cache.block_size_ = block_size;
  cache.memory_ = *std::move(memory);
  return cache;
}

KvPages KvCache::pages(int32_t layer) const {
  const int64_t stride = block_elements(shape_, block_size_);
  const int64_t part = blocks_ * stride * element_bytes(shape_.element);
  return {.keys = memory_.at(2 * layer * part),
          .values = memory_.at((2 * layer + 1) * part),
          .block_stride = stride,
          .block_size = block_size_};
}

}  // namespace touchstone::backend::cuda
