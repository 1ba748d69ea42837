// A file's bytes, decompressed on the way: plain, gzip (RFC 1952, several members) or zstd
// (RFC 8878, several frames), each with zeros after it as block devices and tapes leave them. Told
// by the first bytes. Thread-compatible.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace touchstone::telemetry {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills the start of `buffer`; 0 at the end. ERRORS: kIo; kMalformed for a damaged archive,
  /// kUnavailable for one that ends before its end, after everything before it was given.
  virtual Result<size_t> read(std::span<char> buffer) = 0;
};

/// ERRORS: kNotFound, kIo.
Result<std::unique_ptr<ByteSource>> open_bytes(const std::string& path);

}  // namespace touchstone::telemetry
