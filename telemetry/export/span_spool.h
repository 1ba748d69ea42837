// A log of spans on disk between those who make them and the exporter: what append() has taken is
// in the kernel's hands, survives the death of this process, and is read again by the next one
// until commit() says that it was delivered. At least once: what was sent and not committed when
// the process died is sent again, byte for byte, with the same span ids.
//
// Format, version 1: segments NNNNNNNNNNNNNNNN.spans (hex numbers), each "TSSPOOL1" and entries:
// u32 bytes, u32 spans, u32 CRC-32 of both and the payload (little-endian), and the payload, one
// ExportTraceServiceRequest. `cursor`: segment and offset of the first entry that is not delivered.
// Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/file_lock.h"
#include "base/mutex.h"
#include "base/result.h"

namespace touchstone::telemetry {

struct SpoolOptions {
  std::string directory;
  int64_t bytes_max = int64_t{1} << 30;  ///< of all segments; beyond it the newest are not taken
  int64_t segment_bytes = int64_t{16} << 20;  ///< a new one begins beyond it
  /// When the disk has it: a power failure loses what the kernel alone had. A dead process loses
  /// nothing with any of them.
  enum class Sync { kNever, kInterval, kAlways } sync = Sync::kInterval;
};

/// Between two entries.
struct SpoolPosition {
  uint64_t segment = 0;
  int64_t offset = 0;
  bool operator==(const SpoolPosition&) const = default;
};

class SpanSpool final {
 public:
  /// Makes the folder, or goes on with what is in it. ERRORS: kIo; kUnavailable when another
  /// process uses it.
  static Result<std::unique_ptr<SpanSpool>> open(const SpoolOptions& options);
  ~SpanSpool();
  SpanSpool(const SpanSpool&) = delete;
  SpanSpool& operator=(const SpanSpool&) = delete;

  /// False: there is no room. ERRORS: kIo; what was written of it is cut off again.
  Result<bool> append(std::string_view request, int64_t spans);

  struct Entry {
    std::string request;
    int64_t spans = 0;
    SpoolPosition end;
  };
  /// The first entry that was not read yet; nullopt: none. Damaged ones cost the rest of their
  /// segment, which lost_bytes() counts. ERRORS: kIo.
  Result<std::optional<Entry>> next();
  /// Everything up to here is delivered: it is not read again, and segments before it go.
  Status commit(const SpoolPosition& end);
  /// Has the disk keep what was appended, with Sync::kInterval. ERRORS: kIo.
  Status sync();

  int64_t bytes() const;         ///< of all segments
  int64_t unread_spans() const;  ///< appended, or found at open(), and not read yet
  int64_t lost_bytes() const;    ///< damaged: torn by a crash, or changed by somebody

 private:
  SpanSpool(const SpoolOptions& options, FileLock lock)
      : options_(options), lock_(std::move(lock)) {}
  std::string path_of(uint64_t segment) const;
  Status recover();
  Status begin_segment() REQUIRES(mutex_);
  /// The entry at `at`, or nullopt at the segment's end; its damage is counted.
  Result<std::optional<Entry>> read(const SpoolPosition& at) REQUIRES(mutex_);
  Status open_for_reading(uint64_t segment) REQUIRES(mutex_);

  const SpoolOptions options_;
  const FileLock lock_;
  mutable Mutex mutex_;
  std::map<uint64_t, int64_t> segments_ GUARDED_BY(mutex_);  // bytes of each
  int writer_ GUARDED_BY(mutex_) = -1;                       // of the last segment
  int reader_ GUARDED_BY(mutex_) = -1;
  uint64_t reader_segment_ GUARDED_BY(mutex_) = 0;
  SpoolPosition read_to_ GUARDED_BY(mutex_);
  int64_t bytes_ GUARDED_BY(mutex_) = 0;
  int64_t unread_spans_ GUARDED_BY(mutex_) = 0;
  int64_t lost_bytes_ GUARDED_BY(mutex_) = 0;
  bool unsynced_ GUARDED_BY(mutex_) = false;
};

}  // namespace touchstone::telemetry
