#include "reference_engine/model/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/text.h"

namespace touchstone::model {
namespace {

using nlohmann::json;

// The limit of the reference implementation; a larger length is garbage, not a header.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
// Deeper than any header needs; bounds the recursion of the JSON parser on hostile input.
constexpr int kMaxHeaderDepth = 8;
// Of one tensor: far beyond what any file holds, and its bytes fit 64 bits.
constexpr uint64_t kMaxElements = uint64_t{1} << 40;

struct Range {
  uint64_t begin = 0;
  uint64_t end = 0;
  std::string tensor;
};

/// A non-negative integer, or nothing.
std::optional<uint64_t> as_unsigned(const json& value) {
  if (value.is_number_unsigned()) return value.get<uint64_t>();
  return std::nullopt;
}

Result<json> parse_header(const std::string& name, std::span<const std::byte> file) {
  if (file.size() < 8) {
    return malformed(name + ": got " + std::to_string(file.size()) +
                     " bytes, expected a safetensors file (at least 8)");
  }
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) {
    length = (length << 8) | std::to_integer<uint64_t>(file[static_cast<size_t>(i)]);
  }
  if (length > kMaxHeaderBytes || length > file.size() - 8) {
    return malformed(name + ": header length: got " + std::to_string(length) +
                         ", expected at most " +
                         std::to_string(std::min<uint64_t>(kMaxHeaderBytes, file.size() - 8)),
                     "the file is truncated or not a safetensors file");
  }
  const char* text = reinterpret_cast<const char*>(file.data()) + 8;
  const auto limit_depth = [](int depth, json::parse_event_t, json&) {
    return depth <= kMaxHeaderDepth;
  };
  json header = json::parse(text, text + length, limit_depth, /*allow_exceptions=*/false);
  if (!header.is_object()) {
    return malformed(name + ": header: expected a JSON object of tensors");
  }
  return header;
}

Result<DType> parse_dtype(const std::string& where, const json& entry) {
  const auto found = entry.find("dtype");
  if (found == entry.end() || !found->is_string()) {
    return malformed(where + ".dtype: expected a string");
  }
  const std::string& word = found->get_ref<const std::string&>();
  if (word == "F32") return DType::kFloat32;
  if (word == "F16") return DType::kFloat16;
  if (word == "BF16") return DType::kBFloat16;
  return Error{ErrorCode::kUnsupported,
               where + ".dtype: got " + quote(word) + ", implemented: F32, F16, BF16",
               "quantized folders are not implemented"};
}

/// Number of elements; nothing when an extent is not a count or the product is beyond kMaxElements.
std::optional<uint64_t> parse_shape(const json& entry, std::vector<int64_t>& shape) {
  const auto found = entry.find("shape");
  if (found == entry.end() || !found->is_array()) return std::nullopt;
  uint64_t elements = 1;
  for (const json& extent : *found) {
    const auto value = as_unsigned(extent);
    if (!value || *value > (uint64_t{1} << 31)) return std::nullopt;
    shape.push_back(static_cast<int64_t>(*value));
    // Before multiplying: the product could wrap around to something small.
    if (*value != 0 && elements > kMaxElements / *value) return std::nullopt;
    elements *= *value;
  }
  return elements;
}

Result<Tensor> parse_tensor(const std::string& where, const json& entry,
                            std::span<const std::byte> data, Range& range) {
  if (!entry.is_object()) return malformed(where + ": expected an object");
  auto dtype = parse_dtype(where, entry);
  if (!dtype) return std::move(dtype).error();
  Tensor tensor;
  tensor.dtype = *dtype;
  const auto elements = parse_shape(entry, tensor.shape);
  if (!elements) return malformed(where + ".shape: expected a list of sizes");
  const auto offsets = entry.find("data_offsets");
  if (offsets == entry.end() || !offsets->is_array() || offsets->size() != 2) {
    return malformed(where + ".data_offsets: expected [begin, end]");
  }
  const auto begin = as_unsigned((*offsets)[0]);
  const auto end = as_unsigned((*offsets)[1]);
  if (!begin || !end || *begin > *end || *end > data.size()) {
    return malformed(where + ".data_offsets: got " + offsets->dump() +
                         ", expected a range inside the " + std::to_string(data.size()) +
                         " bytes of data",
                     "the file is truncated or damaged");
  }
  const uint64_t expected = *elements * static_cast<uint64_t>(size_of(*dtype));
  if (*end - *begin != expected) {
    return malformed(where + ".data_offsets: got " + std::to_string(*end - *begin) +
                     " bytes, expected " + std::to_string(expected) + " for shape " +
                     to_string(tensor.shape) + " of " + to_string(*dtype));
  }
  tensor.bytes = data.subspan(*begin, *end - *begin);
  range.begin = *begin;
  range.end = *end;
  return tensor;
}

/// The tensors must tile the data: no overlap, no hole, nothing behind the last one.
Status check_tiling(const std::string& name, std::vector<Range> ranges, uint64_t data_size) {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return std::tie(a.begin, a.end, a.tensor) < std::tie(b.begin, b.end, b.tensor);
  });
  uint64_t at = 0;
  for (const Range& range : ranges) {
    if (range.begin != at) {
      return malformed(name + ": " + quote(range.tensor) + ".data_offsets: begins at " +
                       std::to_string(range.begin) + ", expected " + std::to_string(at) +
                       (range.begin < at ? " (overlaps another tensor)" : " (a hole)"));
    }
    at = range.end;
  }
  if (at != data_size) {
    return malformed(name + ": got " + std::to_string(data_size) + " bytes of data, expected " +
                     std::to_string(at) + " as the tensors say");
  }
  return {};
}

}  // namespace

Result<TensorMap> parse_safetensors(const std::string& name, std::span<const std::byte> file) {
  auto header = parse_header(name, file);
  if (!header) return std::move(header).error();
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) {
    length = (length << 8) | std::to_integer<uint64_t>(file[static_cast<size_t>(i)]);
  }
  const std::span<const std::byte> data = file.subspan(8 + length);
  TensorMap tensors;
  std::vector<Range> ranges;
  for (const auto& [key, entry] : header->items()) {
    if (key == "__metadata__") continue;
    Range range;
    range.tensor = key;
    auto tensor = parse_tensor(name + ": " + quote(key), entry, data, range);
    if (!tensor) return std::move(tensor).error();
    tensors.emplace(key, *std::move(tensor));
    ranges.push_back(std::move(range));
  }
  RETURN_IF_ERROR(check_tiling(name, std::move(ranges), data.size()));
  return tensors;
}

Result<MappedFile> MappedFile::open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    const std::string message = path + ": " + std::strerror(errno);
    return errno == ENOENT ? not_found(message) : io_error(message);
  }
  struct stat info = {};
  if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(descriptor);
    return io_error(path + ": expected a regular file");
  }
  const size_t size = static_cast<size_t>(info.st_size);
  if (size == 0) {
    ::close(descriptor);
    return MappedFile(nullptr, 0);
  }
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  const int map_error = errno;
  ::close(descriptor);
  if (data == MAP_FAILED) return io_error(path + ": cannot map: " + std::strerror(map_error));
  return MappedFile(static_cast<const std::byte*>(data), size);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace touchstone::model
