// A file of lines that outlives whoever writes it, as a ledger or spans: lines are added to what is
// there, a line is there whole or not at all, and a disk that was full is tried again.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace touchstone::harness {

class AppendFile final {
 public:
  explicit AppendFile(std::string path) : path_(std::move(path)) {}
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  /// Opens, or makes, the file at its path as it is now (after a rotation: a new one). What a crash
  /// left of a last line is cut off. ERRORS: kNotFound without its folder, kIo.
  Status open();
  /// Lines that were there when it was opened.
  int64_t lines_before() const { return lines_before_; }

  /// Adds `lines`, each with its end, as a whole: after an error none of them is there, and the
  /// next call tries again. ERRORS: kIo.
  Status append(std::string_view lines);

 private:
  Status problem(const char* what) const;
  void close();

  const std::string path_;
  int descriptor_ = -1;
  int64_t size_ = 0;  ///< where the last whole line ends
  int64_t lines_before_ = 0;
};

}  // namespace touchstone::harness
