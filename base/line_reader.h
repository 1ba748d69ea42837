// The lines of a file, one at a time, so that a long file needs no memory. Defined in files.cc, as
// for_each_line() of files.h is made of it. Thread-compatible.
#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace touchstone {

class LineReader final {
 public:
  /// ERRORS: kNotFound when there is no such file, kIo otherwise.
  static Result<std::unique_ptr<LineReader>> open(const std::string& path);
  /// The next line without its end ("\n" or "\r\n"), valid until the next call; nullopt at the end
  /// of the file. A last line without a line end is one too. ERRORS: kIo.
  Result<std::optional<std::string_view>> next();
  int64_t number() const { return number_; }  ///< of the last line, from 1
  const std::string& path() const { return path_; }

 private:
  LineReader(std::string path, std::ifstream in) : path_(std::move(path)), in_(std::move(in)) {}
  std::string path_;
  std::ifstream in_;
  std::string line_;
  int64_t number_ = 0;
};

}  // namespace touchstone
