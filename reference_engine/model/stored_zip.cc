#include "reference_engine/model/stored_zip.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/text.h"

namespace touchstone::model {
namespace {

constexpr uint32_t kEnd = 0x06054b50;
constexpr uint32_t kEnd64 = 0x06064b50;
constexpr uint32_t kLocator64 = 0x07064b50;
constexpr uint32_t kCentral = 0x02014b50;
constexpr uint32_t kLocal = 0x04034b50;
constexpr size_t kEndBytes = 22;
constexpr size_t kCentralBytes = 46;
constexpr size_t kLocalBytes = 30;
constexpr size_t kCommentMax = 65535;
constexpr uint64_t kEntriesMax = 1 << 20;

/// Little-endian numbers at places that were checked.
class Reader final {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  bool holds(uint64_t at, uint64_t size) const {
    return at <= bytes_.size() && size <= bytes_.size() - at;
  }
  uint64_t number(uint64_t at, int size) const {
    uint64_t value = 0;
    for (int i = size - 1; i >= 0; --i) {
      value = value << 8 | std::to_integer<uint64_t>(bytes_[at + static_cast<uint64_t>(i)]);
    }
    return value;
  }
  std::string text(uint64_t at, uint64_t size) const {
    return {reinterpret_cast<const char*>(bytes_.data() + at), size};
  }

 private:
  std::span<const std::byte> bytes_;
};

struct Directory {
  uint64_t at = 0;
  uint64_t entries = 0;
};

Result<Directory> find_directory(const std::string& name, const Reader& reader, uint64_t size) {
  if (size < kEndBytes) return malformed(name + ": too short for a zip archive");
  const uint64_t first = size - std::min<uint64_t>(size, kEndBytes + kCommentMax);
  for (uint64_t at = size - kEndBytes + 1; at-- > first;) {
    if (reader.number(at, 4) != kEnd) continue;
    Directory directory{.at = reader.number(at + 16, 4), .entries = reader.number(at + 10, 2)};
    if (at >= 20 && reader.number(at - 20, 4) == kLocator64) {
      const uint64_t end64 = reader.number(at - 12, 8);
      if (!reader.holds(end64, 56) || reader.number(end64, 4) != kEnd64) {
        return malformed(name + ": its zip64 directory is damaged");
      }
      directory = {.at = reader.number(end64 + 48, 8), .entries = reader.number(end64 + 32, 8)};
    }
    if (directory.entries > kEntriesMax) return malformed(name + ": too many entries");
    return directory;
  }
  return malformed(
      name + ": no zip archive: its end is not there",
      "files of PyTorch before 1.6 are not read: load and save it once with a newer one");
}

struct Entry {
  std::string name;
  uint64_t size = 0;
  uint64_t header = 0;
};

/// The numbers of the zip64 extra field stand in for those that do not fit, in this order.
void read_zip64(const Reader& reader, uint64_t at, uint64_t end, uint64_t packed, Entry& entry) {
  while (at + 4 <= end) {
    const uint64_t id = reader.number(at, 2);
    const uint64_t length = reader.number(at + 2, 2);
    uint64_t value = at + 4;
    const uint64_t last = std::min(end, value + length);
    at = value + length;
    if (id != 1) continue;
    const auto take = [&](uint64_t& number) {
      if (number != UINT32_MAX || value + 8 > last) return;
      number = reader.number(value, 8);
      value += 8;
    };
    take(entry.size);
    take(packed);
    take(entry.header);
  }
}

Result<Entry> read_entry(const std::string& name, const Reader& reader, uint64_t& at) {
  if (!reader.holds(at, kCentralBytes) || reader.number(at, 4) != kCentral) {
    return malformed(name + ": its directory is damaged");
  }
  const uint64_t flags = reader.number(at + 8, 2);
  const uint64_t method = reader.number(at + 10, 2);
  const uint64_t name_size = reader.number(at + 28, 2);
  const uint64_t extra_size = reader.number(at + 30, 2);
  const uint64_t comment_size = reader.number(at + 32, 2);
  if (!reader.holds(at, kCentralBytes + name_size + extra_size + comment_size)) {
    return malformed(name + ": its directory is cut off");
  }
  Entry entry{.name = reader.text(at + kCentralBytes, name_size),
              .size = reader.number(at + 24, 4),
              .header = reader.number(at + 42, 4)};
  const uint64_t packed = reader.number(at + 20, 4);
  const uint64_t extra = at + kCentralBytes + name_size;
  read_zip64(reader, extra, extra + extra_size, packed, entry);
  at += kCentralBytes + name_size + extra_size + comment_size;
  if (method != 0 || (flags & 1) != 0) {
    return Error{ErrorCode::kUnsupported,
                 name + ": " + quote(entry.name) + ": is compressed or encrypted",
                 {}};
  }
  return entry;
}

}  // namespace

Result<ZipEntries> read_stored_zip(const std::string& name, std::span<const std::byte> file) {
  const Reader reader(file);
  const auto directory = find_directory(name, reader, file.size());
  if (!directory) return directory.error();
  ZipEntries entries;
  uint64_t at = directory->at;
  for (uint64_t i = 0; i < directory->entries; ++i) {
    auto entry = read_entry(name, reader, at);
    if (!entry) return std::move(entry).error();
    if (!reader.holds(entry->header, kLocalBytes) || reader.number(entry->header, 4) != kLocal) {
      return malformed(name + ": " + quote(entry->name) + ": its header is not there");
    }
    const uint64_t data = entry->header + kLocalBytes + reader.number(entry->header + 26, 2) +
                          reader.number(entry->header + 28, 2);
    if (!reader.holds(data, entry->size)) {
      return malformed(name + ": " + quote(entry->name) + ": is cut off");
    }
    entries[entry->name] = file.subspan(data, entry->size);
  }
  return entries;
}

}  // namespace touchstone::model
