// A file's bytes, as they lie there and decompressed: plain, gzip (RFC 1952, several members) or
// zstd (RFC 8878, several frames), each with zeros after it as block devices and tapes leave them.
// Told by the first bytes. Each byte is read once, so that pipes do too. Thread-compatible.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/background_sha256.h"
#include "base/result.h"

namespace touchstone::telemetry {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills the start of `buffer`; 0 at the end. ERRORS: kIo; kMalformed for a damaged archive,
  /// kUnavailable for one that ends before its end, after everything before it was given.
  virtual Result<size_t> read(std::span<char> buffer) = 0;
};

/// As they lie in the file.
class FileBytes final : public ByteSource {
 public:
  enum class Digest { kNone, kSha256 };
  /// ERRORS: kNotFound, kIo.
  static Result<std::unique_ptr<FileBytes>> open(const std::string& path, Digest digest);
  ~FileBytes() override;
  FileBytes(const FileBytes&) = delete;
  FileBytes& operator=(const FileBytes&) = delete;

  Result<size_t> read(std::span<char> buffer) override;
  /// The first bytes, up to four; read() gives them too. REQUIRES: nothing was read yet.
  Result<std::string> peek();
  /// Of the whole file; reads what nobody has read yet. REQUIRES: Digest::kSha256; call once.
  /// ERRORS: kIo.
  Result<std::string> sha256_hex();

 private:
  FileBytes(int descriptor, Digest digest);
  Result<size_t> read_on(std::span<char> buffer);

  int descriptor_;
  std::string head_;  // was peeked at, not read
  std::unique_ptr<BackgroundSha256> sha256_;
};

/// What is in `file`, which must outlive it. ERRORS: kIo.
Result<std::unique_ptr<ByteSource>> decompressed(FileBytes& file);

/// All of a gzip text. ERRORS: kMalformed when it is damaged or holds more than `bytes_max`,
/// kUnavailable when it ends before its end.
Result<std::string> gunzip(std::string_view bytes, size_t bytes_max);

/// Both in one. ERRORS: kNotFound, kIo.
Result<std::unique_ptr<ByteSource>> open_bytes(const std::string& path);

}  // namespace touchstone::telemetry
