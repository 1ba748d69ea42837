// Whole files, lines, and JSON-lines writers, with errors that name the path.
// Free functions are thread-safe; LineWriter is thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace touchstone {

/// ERRORS: kNotFound when there is no such file, kIo otherwise.
Result<std::string> read_file(const std::string& path);
/// Writes beside the target and renames, so a reader or a crash never sees half a file.
/// A device or a pipe is written to, not replaced; of a symbolic link, what it leads to is
/// replaced. ERRORS: kIo (disk full included); the old file, if any, is then unchanged.
Status write_file_atomic(const std::string& path, std::string_view content);
/// Calls `visit(line_number, line)` for each line (1-based, no line end). A last line without a
/// line end is visited too. Stops at the first error `visit` returns.
Status for_each_line(const std::string& path,
                     const std::function<Status(int64_t, std::string_view)>& visit);
/// Creates a directory and its parents. ERRORS: kIo.
Status make_directories(const std::string& path);

/// Appends lines to a file, one write per flush. Only close() says that all of them are there: what
/// a destroyed writer still holds is dropped. After a first error every call gives that error, for
/// the file may end inside a line.
class LineWriter final {
 public:
  /// Empties the file, or makes it. ERRORS: kNotFound without its folder, kIo.
  static Result<std::unique_ptr<LineWriter>> open(const std::string& path);
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  /// Adds `line` and a line end to the buffer; writes out when the buffer is large.
  Status write(std::string_view line);
  Status flush();
  /// Writes out what is left and closes the file. REQUIRES: nothing is called after it.
  Status close();
  const std::string& path() const { return path_; }

 private:
  LineWriter(std::string path, int descriptor);
  std::string path_;
  int descriptor_;  // -1: closed
  std::string buffer_;
  Status status_;  // the first error
};

/// A directory that is removed with its content when this goes out of scope.
class TemporaryDirectory final {
 public:
  /// `prefix` is part of the name, e.g. "touchstone-check".
  static Result<TemporaryDirectory> make(const std::string& prefix);
  ~TemporaryDirectory();
  TemporaryDirectory(TemporaryDirectory&& other) noexcept;
  TemporaryDirectory& operator=(TemporaryDirectory&& other) noexcept;
  const std::string& path() const { return path_; }
  /// Leaves the directory in place and gives its path.
  std::string release();

 private:
  explicit TemporaryDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;  // empty: nothing to remove
};

}  // namespace touchstone
