#include "reference_engine/backend/cuda/device_memory.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"

namespace touchstone::backend::cuda {
namespace {

// Uploads wait for each piece; the engine's own events begin at 0.
constexpr int32_t kUploadEvent = Device::kEvents - 1;

}  // namespace

Result<DeviceBuffer> DeviceBuffer::make(Device& device, int64_t bytes, const std::string& what) {
  if (bytes == 0) return DeviceBuffer();
  const auto memory = device.memory();
  if (!memory) return memory.error();
  const auto refuse = [&] {
    return unavailable(what + ": needs " + format_count(bytes) + " bytes of " +
                           device.facts().name + ", free are " + format_count(memory->free_bytes) +
                           " of " + format_count(memory->total_bytes),
                       "use a smaller model, lower --gpu-memory-utilization or end what else uses "
                       "the device (nvidia-smi shows it)");
  };
  if (bytes > memory->free_bytes) return refuse();
  const auto data = device.allocate(bytes);
  if (!data) return refuse();
  return DeviceBuffer(device, *data, bytes);
}

DeviceBuffer::~DeviceBuffer() {
  if (data_ != nullptr) device_->release(data_);
}

DeviceBuffer::DeviceBuffer(DeviceBuffer&& other) noexcept
    : device_(other.device_),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

DeviceBuffer& DeviceBuffer::operator=(DeviceBuffer&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Result<PinnedBuffer> PinnedBuffer::make(Device& device, int64_t bytes) {
  const auto data = device.allocate_pinned(bytes);
  if (!data) return data.error();
  return PinnedBuffer(device, *data, bytes);
}

PinnedBuffer::~PinnedBuffer() {
  if (data_ != nullptr) device_->release_pinned(data_);
}

PinnedBuffer::PinnedBuffer(PinnedBuffer&& other) noexcept
    : device_(other.device_),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

PinnedBuffer& PinnedBuffer::operator=(PinnedBuffer&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Status upload(Device& device, const PinnedBuffer& staging, std::span<const std::byte> from,
              void* to) {
  const size_t most = static_cast<size_t>(staging.size());
  for (size_t done = 0; done < from.size();) {
    const size_t some = std::min(most, from.size() - done);
    std::memcpy(staging.data(), from.data() + done, some);
    RETURN_IF_ERROR(device.copy_in(static_cast<std::byte*>(to) + done, staging.data(),
                                   static_cast<int64_t>(some)));
    RETURN_IF_ERROR(device.record(kUploadEvent));
    RETURN_IF_ERROR(device.synchronize(kUploadEvent));
    done += some;
  }
  return {};
}

}  // namespace touchstone::backend::cuda
