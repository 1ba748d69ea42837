// Comma-separated values without quotes, as traces and measurements are published: plain, .gz or
// .zst, read line by line. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "telemetry/otlp/byte_source.h"

namespace touchstone::workload {

class CsvRows final {
 public:
  /// `columns`: those that are wanted, by their names in the first line, in any order there; empty:
  /// there is no such line and all are. Without a file at `path`, `path`.gz is read.
  /// ERRORS: kNotFound, kIo, kInvalidArgument for a column that is not there.
  static Result<CsvRows> open(const std::string& path, std::vector<std::string> columns);
  /// The wanted fields of the next line that is not blank, in the order of `columns`, without the
  /// space around them; valid until the next call. False at the end.
  /// ERRORS: kInvalidArgument for a line with too few fields or with quotes; kIo.
  Result<bool> next(std::vector<std::string_view>& fields);

  /// All wanted fields of the next line as finite numbers of at least 0. REQUIRES: as many as there
  /// are columns. ERRORS: as next(), and `file:line: column: got, expected`.
  Result<bool> next_numbers(std::span<double> numbers);

  const std::string& path() const { return path_; }
  std::string where() const;  ///< `file:line`
  /// `file:line: column: got "text", expected …`
  Error bad(size_t column, std::string_view text, const std::string& expected) const;
  /// The field as a number of tokens, 0 to kMostTraceTokens.
  Result<int64_t> tokens(const std::vector<std::string_view>& fields, size_t column) const;
  /// The field as a finite number of at least 0.
  Result<double> number(const std::vector<std::string_view>& fields, size_t column) const;

 private:
  CsvRows(std::string path, std::unique_ptr<telemetry::ByteSource> bytes,
          std::vector<std::string> columns)
      : path_(std::move(path)), bytes_(std::move(bytes)), columns_(std::move(columns)) {}
  Status read_header();
  /// Without its end, valid until the next call; false at the end.
  Result<bool> next_line(std::string_view& line);
  Status split_line(std::string_view line);

  std::string path_;
  std::unique_ptr<telemetry::ByteSource> bytes_;
  std::vector<std::string> columns_;
  std::vector<size_t> places_;            // of the columns in a line
  std::vector<std::string_view> fields_;  // all of the line
  std::vector<std::string_view> wanted_;  // of next_numbers()
  std::string buffer_;
  size_t begin_ = 0;  // of the next line in it
  int64_t number_ = 0;
};

/// The file that CsvRows::open() reads.
std::string csv_file(const std::string& path);

}  // namespace touchstone::workload
