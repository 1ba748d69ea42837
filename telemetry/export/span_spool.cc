#include "telemetry/export/span_spool.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/check.h"
#include "base/files.h"

namespace touchstone::telemetry {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "TSSPOOL1";
constexpr std::string_view kSuffix = ".spans";
constexpr size_t kHeadBytes = 12;
constexpr auto kFirstOffset = static_cast<int64_t>(kMagic.size());
constexpr uint32_t kEntryBytesMax = uint32_t{64} << 20;  // OTLP's recommended limit of a request

using Head = std::array<uint32_t, 3>;  // bytes, spans, checksum; the machine is little-endian

uint32_t checksum(const Head& head, std::string_view payload) {
  uLong crc = crc32(0, reinterpret_cast<const Bytef*>(head.data()), 2 * sizeof(uint32_t));
  crc =
      crc32(crc, reinterpret_cast<const Bytef*>(payload.data()), static_cast<uInt>(payload.size()));
  return static_cast<uint32_t>(crc);
}

Error failed(const std::string& path, const char* what) {
  return io_error(path + ": cannot " + what + ": " + std::strerror(errno));
}

/// Reads all of it, or says how much there was.
int64_t read_at(int descriptor, char* to, size_t size, int64_t offset) {
  size_t done = 0;
  while (done < size) {
    const ssize_t count =
        pread(descriptor, to + done, size - done, offset + static_cast<int64_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return static_cast<int64_t>(done);
}

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

std::map<uint64_t, int64_t> segments_in(const std::string& directory) {
  std::map<uint64_t, int64_t> found;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, ignored)) {
    const std::string name = entry.path().filename().string();
    unsigned long long number = 0;
    int used = 0;
    if (!name.ends_with(kSuffix) || std::sscanf(name.c_str(), "%16llx%n", &number, &used) != 1 ||
        static_cast<size_t>(used) + kSuffix.size() != name.size()) {
      continue;
    }
    found[number] = static_cast<int64_t>(fs::file_size(entry.path(), ignored));
  }
  return found;
}

std::optional<SpoolPosition> read_cursor(const std::string& path) {
  const auto text = read_file(path);
  unsigned long long segment = 0;
  long long offset = 0;
  if (!text || std::sscanf(text->c_str(), "%llx %lld", &segment, &offset) != 2) return std::nullopt;
  return SpoolPosition{segment, offset};
}

}  // namespace

Result<std::unique_ptr<SpanSpool>> SpanSpool::open(const SpoolOptions& options) {
  RETURN_IF_ERROR(make_directories(options.directory));
  auto lock = FileLock::make(options.directory + "/lock");
  if (!lock) return std::move(lock).error();
  if (!lock->try_exclusive()) {
    return unavailable(options.directory + ": another process uses this spool",
                       "each server needs a folder of its own");
  }
  std::unique_ptr<SpanSpool> spool(new SpanSpool(options, *std::move(lock)));
  RETURN_IF_ERROR(spool->recover());
  return spool;
}

SpanSpool::~SpanSpool() {
  if (writer_ >= 0) close(writer_);
  if (reader_ >= 0) close(reader_);
}

std::string SpanSpool::path_of(uint64_t segment) const {
  char name[17];
  std::snprintf(name, sizeof(name), "%016llx", static_cast<unsigned long long>(segment));
  return options_.directory + "/" + name + std::string(kSuffix);
}

/// Counts what waits, and begins a segment of its own: what a crash has torn is never written to.
Status SpanSpool::recover() {
  const MutexLock lock(mutex_);
  segments_ = segments_in(options_.directory);
  const auto cursor = read_cursor(options_.directory + "/cursor");
  const SpoolPosition start =
      cursor.value_or(SpoolPosition{segments_.empty() ? 0 : segments_.begin()->first, 0});
  while (!segments_.empty() && segments_.begin()->first < start.segment) {
    std::error_code ignored;
    fs::remove(path_of(segments_.begin()->first), ignored);
    segments_.erase(segments_.begin());
  }
  for (const auto& [segment, size] : segments_) {
    bytes_ += size;
    SpoolPosition at{segment, segment == start.segment ? start.offset : 0};
    for (;;) {
      auto entry = read(at);
      if (!entry) return std::move(entry).error();
      if (!*entry) break;
      unread_spans_ += (*entry)->spans;
      at = (*entry)->end;
    }
  }
  read_to_ = start;
  return begin_segment();
}

Status SpanSpool::begin_segment() {
  const uint64_t number = segments_.empty() ? read_to_.segment + 1 : segments_.rbegin()->first + 1;
  const std::string path = path_of(number);
  const int opened = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_APPEND | O_CLOEXEC, 0640);
  if (opened < 0) return failed(path, "create");
  if (writer_ >= 0) {
    if (unsynced_ && options_.sync == SpoolOptions::Sync::kInterval) fdatasync(writer_);
    close(writer_);
  }
  writer_ = opened;
  if (!write_all(writer_, kMagic)) return failed(path, "write");
  segments_[number] = kFirstOffset;
  bytes_ += kFirstOffset;
  return {};
}

Result<bool> SpanSpool::append(std::string_view request, int64_t spans) {
  BASE_CHECK(request.size() <= kEntryBytesMax, request.size());
  Head head{static_cast<uint32_t>(request.size()), static_cast<uint32_t>(spans), 0};
  head[2] = checksum(head, request);
  std::string entry(reinterpret_cast<const char*>(head.data()), kHeadBytes);
  entry += request;
  const auto size = static_cast<int64_t>(entry.size());
  const MutexLock lock(mutex_);
  if (bytes_ + size > options_.bytes_max) return false;
  if (segments_.rbegin()->second + size > options_.segment_bytes &&
      segments_.rbegin()->second > kFirstOffset) {
    RETURN_IF_ERROR(begin_segment());
  }
  auto& [number, written] = *segments_.rbegin();
  if (!write_all(writer_, entry)) {
    const Error error = failed(path_of(number), "write");
    // A part of an entry would cost those after it.
    if (ftruncate(writer_, written) != 0) RETURN_IF_ERROR(begin_segment());
    return error;
  }
  written += size;
  bytes_ += size;
  unread_spans_ += spans;
  if (options_.sync == SpoolOptions::Sync::kAlways) {
    if (fdatasync(writer_) != 0) return failed(path_of(number), "sync");
  } else {
    unsynced_ = true;
  }
  return true;
}

Status SpanSpool::open_for_reading(uint64_t segment) {
  if (reader_ >= 0 && reader_segment_ == segment) return {};
  if (reader_ >= 0) close(reader_);
  const std::string path = path_of(segment);
  reader_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (reader_ < 0) return failed(path, "open");
  reader_segment_ = segment;
  return {};
}

Result<std::optional<SpanSpool::Entry>> SpanSpool::read(const SpoolPosition& at) {
  RETURN_IF_ERROR(open_for_reading(at.segment));
  const int64_t end = segments_.at(at.segment);
  const int64_t offset = std::max(at.offset, kFirstOffset);
  const std::optional<Entry> none;
  const auto damaged = [&] {
    lost_bytes_ += end - offset;
    segments_.at(at.segment) = offset;
    bytes_ -= end - offset;
    return none;
  };
  if (offset >= end) return none;
  Head head{};
  const int64_t got = read_at(reader_, reinterpret_cast<char*>(head.data()), kHeadBytes, offset);
  if (got < 0) return failed(path_of(at.segment), "read");
  const int64_t size = static_cast<int64_t>(kHeadBytes) + head[0];
  if (got < static_cast<int64_t>(kHeadBytes) || head[0] > kEntryBytesMax || offset + size > end) {
    return damaged();
  }
  Entry entry{
      .request = std::string(head[0], '\0'), .spans = head[1], .end = {at.segment, offset + size}};
  if (read_at(reader_, entry.request.data(), head[0], offset + int64_t{kHeadBytes}) !=
          static_cast<int64_t>(head[0]) ||
      checksum(head, entry.request) != head[2]) {
    return damaged();
  }
  return std::optional(std::move(entry));
}

Result<std::optional<SpanSpool::Entry>> SpanSpool::next() {
  const MutexLock lock(mutex_);
  for (;;) {
    if (segments_.contains(read_to_.segment)) {
      auto entry = read(read_to_);
      if (!entry) return std::move(entry).error();
      if (*entry) {
        read_to_ = (*entry)->end;
        unread_spans_ -= (*entry)->spans;
        return entry;
      }
    }
    const auto following = segments_.upper_bound(read_to_.segment);
    if (following == segments_.end()) return std::optional<Entry>();
    read_to_ = {following->first, 0};
  }
}

Status SpanSpool::commit(const SpoolPosition& end) {
  char text[48];
  std::snprintf(text, sizeof(text), "%llx %lld\n", static_cast<unsigned long long>(end.segment),
                static_cast<long long>(end.offset));
  RETURN_IF_ERROR(write_file_atomic(options_.directory + "/cursor", text));
  const MutexLock lock(mutex_);
  while (segments_.begin()->first < end.segment) {
    std::error_code ignored;
    fs::remove(path_of(segments_.begin()->first), ignored);
    bytes_ -= segments_.begin()->second;
    segments_.erase(segments_.begin());
  }
  return {};
}

Status SpanSpool::sync() {
  int descriptor = -1;
  {
    const MutexLock lock(mutex_);
    if (!unsynced_ || options_.sync != SpoolOptions::Sync::kInterval) return {};
    unsynced_ = false;
    descriptor = dup(writer_);
  }
  // Outside of the lock: a disk takes its time, and nobody who appends waits for it.
  const bool good = descriptor >= 0 && fdatasync(descriptor) == 0;
  const Error error = failed(options_.directory, "sync");
  if (descriptor >= 0) close(descriptor);
  return good ? Status() : Status(error);
}

int64_t SpanSpool::bytes() const {
  const MutexLock lock(mutex_);
  return bytes_;
}

int64_t SpanSpool::unread_spans() const {
  const MutexLock lock(mutex_);
  return unread_spans_;
}

int64_t SpanSpool::lost_bytes() const {
  const MutexLock lock(mutex_);
  return lost_bytes_;
}

}  // namespace touchstone::telemetry
