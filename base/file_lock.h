// An advisory lock on a file between processes; the kernel frees it when the process goes.
// Source: flock(2). Thread-compatible.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace touchstone {

class FileLock final {
 public:
  /// Makes the file when it is not there. Nothing is locked yet. ERRORS: kIo.
  static Result<FileLock> make(const std::string& path);
  /// Opens one that exists, for readers. ERRORS: kNotFound, kIo.
  static Result<FileLock> existing(const std::string& path);
  ~FileLock();
  FileLock(FileLock&& other) noexcept
      : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;

  /// False when another process holds it, or when the file at the path is no longer this one.
  bool try_exclusive();
  /// False when another process holds it alone.
  bool try_shared();

 private:
  static Result<FileLock> open(const std::string& path, int flags);
  FileLock(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  std::string path_;
  int descriptor_;
};

}  // namespace touchstone
