#include "reference_engine/backend/cpu/kv_cache.h"

#include "base/check.h"
#include "reference_engine/model/tensor.h"

namespace touchstone::backend::cpu {
namespace {

int64_t element_bytes(Storage storage) { return storage == Storage::kFloat32 ? 4 : 2; }

int64_t round_up16(int64_t n) { return (n + 15) / 16 * 16; }

int64_t key_bytes(const KvShape& shape, int32_t block_size) {
  return round_up16(block_size) * shape.head_dim * element_bytes(shape.storage);
}

int64_t value_bytes(const KvShape& shape, int32_t block_size) {
  return block_size * round_up16(shape.head_dim) * element_bytes(shape.storage);
}

template <typename Element>
Element stored(float value);
template <>
float stored<float>(float value) {
  return value;
}
template <>
uint16_t stored<uint16_t>(float value) {
  return model::float_to_bf16(value);
}

template <typename Element>
void write_elements(std::byte* keys_at, std::byte* values_at, int32_t slot, int32_t head_dim,
                    const float* key, const float* value) {
  Element* keys = reinterpret_cast<Element*>(keys_at) +
                  int64_t{slot / kKeyGroup} * head_dim * kKeyGroup + slot % kKeyGroup;
  Element* values = reinterpret_cast<Element*>(values_at) + slot * round_up16(head_dim);
  for (int32_t d = 0; d < head_dim; ++d) {
    keys[d * kKeyGroup] = stored<Element>(key[d]);
    values[d] = stored<Element>(value[d]);
  }
}

}  // namespace

int64_t KvCache::block_bytes(const KvShape& shape, int32_t block_size) {
  return int64_t{shape.layers} * shape.heads *
         (key_bytes(shape, block_size) + value_bytes(shape, block_size));
}

Result<KvCache> KvCache::make(const KvShape& shape, int64_t blocks, int32_t block_size) {
  BASE_CHECK(blocks >= 1 && block_size >= 1, blocks, " ", block_size);
  KvCache cache;
  cache.shape_ = shape;
  cache.blocks_ = blocks;
  cache.block_size_ = block_size;
  auto buffer = Buffer::make(blocks * block_bytes(shape, block_size), "KV cache");
  if (!buffer) return std::move(buffer).error();
  cache.buffer_ = *std::move(buffer);
  return cache;
}

int64_t KvCache::layer_block_bytes() const {
  return shape_.heads * (key_bytes(shape_, block_size_) + value_bytes(shape_, block_size_));
}

const std::byte* KvCache::keys(int32_t layer, int32_t head) const {
  return buffer_.data() + layer * blocks_ * layer_block_bytes() +
         head * (key_bytes(shape_, block_size_) + value_bytes(shape_, block_size_));
}

const std::byte* KvCache::values(int32_t layer, int32_t head) const {
  return keys(layer, head) + key_bytes(shape_, block_size_);
}

void KvCache::write(int32_t layer, int32_t head, int32_t block, int32_t slot, const float* key,
                    const float* value) {
  BASE_CHECK(block >= 0 && block < blocks_ && slot >= 0 && slot < block_size_, block, " ", slot);
  const int64_t offset = keys(layer, head) - buffer_.data() + block * layer_block_bytes();
  std::byte* keys_at = buffer_.data() + offset;
  std::byte* values_at = keys_at + key_bytes(shape_, block_size_);
  if (shape_.storage == Storage::kFloat32) {
    write_elements<float>(keys_at, values_at, slot, shape_.head_dim, key, value);
  } else {
    write_elements<uint16_t>(keys_at, values_at, slot, shape_.head_dim, key, value);
  }
}

}  // namespace touchstone::backend::cpu
