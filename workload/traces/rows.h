// What the readers of published traces share: lines of a CSV file with its header checked, token
// counts, times from the first one on. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/document.h"
#include "base/line_reader.h"
#include "base/result.h"
#include "workload/request_reader.h"
#include "workload/workload.h"

namespace touchstone::workload {

/// A CSV file without quoted fields, as published traces are.
class CsvRows final {
 public:
  /// `columns`: what the header must begin with; empty: there is no header.
  /// ERRORS: kNotFound, kIo, kInvalidArgument for another header or an empty file.
  static Result<CsvRows> open(const std::string& path, std::vector<std::string> columns);
  /// The fields of the next line, valid until the next call; false at the end.
  /// ERRORS: kInvalidArgument for a line with too few fields or with quotes; kIo.
  Result<bool> next(std::vector<std::string_view>& fields);
  std::string where() const;
  /// `file:line: column: got "text", expected …`
  Error bad(size_t column, std::string_view text, const std::string& expected) const;
  /// The field as a number of tokens, 0 to kMostTraceTokens.
  Result<int64_t> tokens(const std::vector<std::string_view>& fields, size_t column) const;

 private:
  CsvRows(std::unique_ptr<LineReader> lines, std::vector<std::string> columns)
      : lines_(std::move(lines)), columns_(std::move(columns)) {}
  std::unique_ptr<LineReader> lines_;
  std::vector<std::string> columns_;
};

/// An integer that must be there, in the closed range; `low` after an error, which `fields` keeps.
int64_t required_in(const Fields& fields, const char* key, int64_t low, int64_t high);

/// Seconds as nanoseconds; nullopt when negative, not finite or beyond 64 bits.
std::optional<int64_t> seconds_to_ns(double seconds);

/// Turns the times of a trace into arrivals from 0 and refuses those that go back.
class Arrivals final {
 public:
  /// ERRORS: kInvalidArgument `where: field: got …, expected at least …`.
  Result<int64_t> from_start_ns(int64_t time_ns, const std::string& where, const char* field);

 private:
  std::optional<int64_t> first_ns_;
  int64_t last_ns_ = 0;
};

/// A request as every trace gives it; `number`: of the trace's requests, from 0.
void begin_request(Request& request, int64_t number, int64_t arrival_ns, int64_t prompt_tokens,
                   int64_t output_tokens);

/// "3 requests without a prompt or an answer"; empty for 0.
std::string without_tokens(int64_t count);

/// What a recording says of a request, and where it says so.
struct Recorded {
  int64_t time_ns = 0;
  int64_t prompt_tokens = 0;
  int64_t output_tokens = 0;
  int64_t line = 0;  ///< of the file, or which request of it; for messages
};
/// Recordings are in the order in which requests ended: sorts them by time and gives them one after
/// the other. Holds 32 bytes a request. `left_out`: as RequestReader::left_out().
std::unique_ptr<RequestReader> make_recorded_reader(const std::string& path,
                                                    std::vector<Recorded> requests,
                                                    std::string left_out);

/// Equal ids of one scope are equal, those of different scopes differ. 63 bits, as JSON readers
/// keep them exactly.
uint64_t scoped_id(uint64_t scope, uint64_t id);
/// A scope from a name.
uint64_t scope_of(std::string_view name);

}  // namespace touchstone::workload
