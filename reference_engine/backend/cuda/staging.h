// Arrays on their way to the device: packed into pinned memory, one copy, and each array's address
// over there. There is a pinned half for each plan that may be in flight; the device's side is one,
// because plans follow each other in the queue. Equal sizes give equal addresses as long as the
// memory does not grow. Thread-compatible.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "reference_engine/backend/cuda/device_memory.h"

namespace touchstone::backend::cuda {

class Staging final {
 public:
  static constexpr size_t kHalves = 2;

  /// Room for `bytes` in each half and on the device. ERRORS: kUnavailable.
  Status reserve(Device& device, int64_t bytes);

  /// `values` must stay until send(), which sets `address`; null for an empty array.
  template <typename T>
  void add(const std::vector<T>& values, const T*& address) {
    arrays_.push_back({std::as_bytes(std::span(values)),
                       [&address](const void* at) { address = static_cast<const T*>(at); }});
  }
  /// What send() would take.
  int64_t pending_bytes() const;
  int64_t capacity() const { return on_device_.size(); }
  /// Grows where there is not enough room. REQUIRES: the device is done with `half`.
  Status send(Device& device, size_t half);
  /// Bytes that an array takes.
  static int64_t size_of(int64_t bytes);

 private:
  /// At least `bytes` in one half and on the device.
  Status grow(Device& device, size_t half, int64_t bytes);
  struct Array {
    std::span<const std::byte> bytes;
    std::function<void(const void* at)> set_address;
  };
  std::array<PinnedBuffer, kHalves> pinned_;
  DeviceBuffer on_device_;
  std::vector<Array> arrays_;
};

}  // namespace touchstone::backend::cuda
