#include "reference_engine/backend/cuda/staging.h"

#include <algorithm>
#include <cstring>

namespace touchstone::backend::cuda {
namespace {

constexpr int64_t kAlignment = 64;

}  // namespace

int64_t Staging::size_of(int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

Status Staging::grow(Device& device, size_t half, int64_t bytes) {
  if (bytes > pinned_[half].size()) {
    auto pinned = PinnedBuffer::make(device, bytes);
    if (!pinned) return std::move(pinned).error();
    pinned_[half] = *std::move(pinned);
  }
  if (bytes <= on_device_.size()) return {};
  auto memory = DeviceBuffer::make(device, bytes, "inputs of a step");
  if (!memory) return std::move(memory).error();
  on_device_ = *std::move(memory);
  return {};
}

Status Staging::reserve(Device& device, int64_t bytes) {
  for (size_t half = 0; half < kHalves; ++half) RETURN_IF_ERROR(grow(device, half, bytes));
  return {};
}

int64_t Staging::pending_bytes() const {
  int64_t size = 0;
  for (const Array& array : arrays_) size += size_of(static_cast<int64_t>(array.bytes.size()));
  return size;
}

Status Staging::send(Device& device, size_t half) {
  int64_t room = std::max(pending_bytes(), capacity());
  if (room > capacity()) room = std::max(room, 2 * capacity());  // once, not often
  RETURN_IF_ERROR(grow(device, half, room));
  int64_t offset = 0;
  for (const Array& array : arrays_) {
    if (array.bytes.empty()) {
      array.set_address(nullptr);
      continue;
    }
    std::memcpy(pinned_[half].data() + offset, array.bytes.data(), array.bytes.size());
    array.set_address(on_device_.at(offset));
    offset += size_of(static_cast<int64_t>(array.bytes.size()));
  }
  arrays_.clear();
  if (offset == 0) return {};
  return device.copy_in(on_device_.at(), pinned_[half].data(), offset);
}

}  // namespace touchstone::backend::cuda
