// safetensors files: 8 bytes little-endian header length, a JSON header, then the tensors' bytes.
// Source: huggingface/safetensors README, format 0.3+ (header at most 100 MB, no holes, no
// overlaps, offsets relative to the end of the header). Thread-compatible.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "reference_engine/model/tensor.h"

namespace touchstone::model {

/// Tensors by name; ordered, so that messages and walks are repeatable.
using TensorMap = std::map<std::string, Tensor>;

/// Reads the header of a whole file image. The tensors borrow `file`. Checks every offset, so that
/// no later read can leave `file`. `name` is what messages call it.
/// ERRORS: kMalformed with the tensor; kUnsupported for element types other than F32, F16, BF16.
Result<TensorMap> parse_safetensors(const std::string& name, std::span<const std::byte> file);

/// A read-only memory map of a file.
class MappedFile final {
 public:
  /// ERRORS: kNotFound, kIo.
  static Result<MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  MappedFile(const std::byte* data, size_t size) : data_(data), size_(size) {}
  const std::byte* data_;
  size_t size_;
};

}  // namespace touchstone::model
