// Owners of a device's memory and of pinned host memory. Move-only; thread-compatible. The device
// outlives them.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "base/result.h"
#include "reference_engine/backend/cuda/device_api.h"

namespace touchstone::backend::cuda {

class DeviceBuffer final {
 public:
  DeviceBuffer() = default;
  /// ERRORS: kUnavailable: `what` needs so many bytes, and so many are free.
  static Result<DeviceBuffer> make(Device& device, int64_t bytes, const std::string& what);
  ~DeviceBuffer();
  DeviceBuffer(DeviceBuffer&& other) noexcept;
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept;

  template <typename T = void>
  T* at(int64_t byte = 0) const {
    return reinterpret_cast<T*>(static_cast<std::byte*>(data_) + byte);
  }
  int64_t size() const { return size_; }

 private:
  DeviceBuffer(Device& device, void* data, int64_t size)
      : device_(&device), data_(data), size_(size) {}
  Device* device_ = nullptr;
  void* data_ = nullptr;
  int64_t size_ = 0;
};

class PinnedBuffer final {
 public:
  PinnedBuffer() = default;
  static Result<PinnedBuffer> make(Device& device, int64_t bytes);
  ~PinnedBuffer();
  PinnedBuffer(PinnedBuffer&& other) noexcept;
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept;

  std::byte* data() const { return static_cast<std::byte*>(data_); }
  int64_t size() const { return size_; }

 private:
  PinnedBuffer(Device& device, void* data, int64_t size)
      : device_(&device), data_(data), size_(size) {}
  Device* device_ = nullptr;
  void* data_ = nullptr;
  int64_t size_ = 0;
};

/// Copies host memory of any kind into the device's through `staging`, and waits.
Status upload(Device& device, const PinnedBuffer& staging, std::span<const std::byte> from,
              void* to);

}  // namespace touchstone::backend::cuda
