// A file for what does not fit in memory. It has no name: it lies in the folder for temporary files
// (TMPDIR) and is gone with the process, however that ends. Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace touchstone {

class SpillFile final {
 public:
  /// ERRORS: kIo, naming the folder.
  static Result<std::unique_ptr<SpillFile>> make();
  ~SpillFile();
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  /// ERRORS: kIo (disk full included).
  Status append(std::string_view bytes);
  /// Bytes appended so far.
  uint64_t size() const { return written_ + buffer_.size(); }
  /// Fills `out`. REQUIRES: all of it was appended. ERRORS: kIo.
  Status read(uint64_t offset, std::span<char> out);
  /// Gives the disk space of [begin, end) back where the file system can; nobody reads it again.
  void discard(uint64_t begin, uint64_t end);

 private:
  SpillFile(std::string folder, int descriptor);
  Status flush();
  Error failed(const char* what) const;

  std::string folder_;
  int descriptor_;
  uint64_t written_ = 0;
  std::string buffer_;  // what follows
};

}  // namespace touchstone
