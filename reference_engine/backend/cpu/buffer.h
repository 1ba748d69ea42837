// Zeroed memory straight from the system, for weights and KV: pages that nobody touches cost
// nothing, and large pages are asked for. Move-only; thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"

namespace touchstone::backend::cpu {

class Buffer final {
 public:
  Buffer() = default;
  /// ERRORS: kUnavailable with the bytes wanted and what the system has.
  static Result<Buffer> make(int64_t bytes, const char* what);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  int64_t size() const { return size_; }

 private:
  Buffer(std::byte* data, int64_t size) : data_(data), size_(size) {}
  std::byte* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace touchstone::backend::cpu
