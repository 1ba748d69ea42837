#include "reference_engine/backend/cpu/buffer.h"

#include <sys/mman.h>

#include <string>
#include <utility>

#include "base/memory.h"
#include "base/text.h"

namespace touchstone::backend::cpu {
Result<Buffer> Buffer::make(int64_t bytes, const char* what) {
  if (bytes == 0) return Buffer();
  const int64_t available = read_memory_limits().available_bytes;
  if (bytes > available) {
    return unavailable(std::string(what) + ": needs " + format_count(bytes) +
                           " bytes of memory, available are " + format_count(available),
                       "use a smaller model or fewer KV blocks (--num-gpu-blocks-override)");
  }
  void* data = ::mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    return unavailable(std::string(what) + ": cannot get " + format_count(bytes) +
                       " bytes of memory");
  }
  (void)::madvise(data, static_cast<size_t>(bytes), MADV_HUGEPAGE);  // only a wish
  return Buffer(static_cast<std::byte*>(data), bytes);
}

Buffer::~Buffer() {
  if (data_ != nullptr) ::munmap(data_, static_cast<size_t>(size_));
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace touchstone::backend::cpu
