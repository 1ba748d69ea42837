#include "workload/traces/csv.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <span>
#include <utility>

#include "base/text.h"
#include "workload/traces/trace.h"

namespace touchstone::workload {
namespace {

constexpr size_t kReadBytes = size_t{1} << 16;
constexpr size_t kLongestLine = size_t{1} << 24;

}  // namespace

std::string csv_file(const std::string& path) {
  return std::filesystem::exists(path) ? path : path + ".gz";
}

Result<CsvRows> CsvRows::open(const std::string& path, std::vector<std::string> columns) {
  std::string file = csv_file(path);
  auto bytes = telemetry::open_bytes(file);
  if (!bytes) {
    // The one that was asked for is named.
    if (bytes.error().code == ErrorCode::kNotFound)
      file = path, bytes = telemetry::open_bytes(path);
    if (!bytes) return std::move(bytes).error();
  }
  CsvRows rows(std::move(file), std::move(*bytes), std::move(columns));
  if (!rows.columns_.empty()) RETURN_IF_ERROR(rows.read_header());
  return rows;
}

Status CsvRows::read_header() {
  std::string_view line;
  const auto there = next_line(line);
  if (!there) return there.error();
  if (line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
  RETURN_IF_ERROR(split_line(line));
  for (const std::string& column : columns_) {
    const auto found = std::find(fields_.begin(), fields_.end(), column);
    if (found == fields_.end()) {
      return invalid_argument(path_ + ":1: got the header " + quote(line) + " without " + column +
                              ", expected " + join(columns_, ","));
    }
    places_.push_back(static_cast<size_t>(found - fields_.begin()));
  }
  return {};
}

Result<bool> CsvRows::next_line(std::string_view& line) {
  line = {};
  for (size_t from = begin_;;) {
    const size_t end = buffer_.find('\n', from);
    if (end != std::string::npos) {
      line = std::string_view(buffer_).substr(begin_, end - begin_);
      begin_ = end + 1;
      break;
    }
    if (buffer_.size() - begin_ > kLongestLine) {
      return invalid_argument(path_ + ":" + std::to_string(number_ + 1) +
                              ": got no end of line in " + format_count(kLongestLine) +
                              " bytes, expected comma-separated values");
    }
    buffer_.erase(0, begin_);
    begin_ = 0;
    from = buffer_.size();
    buffer_.resize(from + kReadBytes);
    const auto count = bytes_->read(std::span(buffer_).subspan(from));
    buffer_.resize(from + (count ? *count : 0));
    if (!count) return count.error();
    if (*count > 0) continue;
    if (buffer_.empty()) return false;
    line = buffer_;
    begin_ = buffer_.size();
    break;
  }
  if (line.ends_with('\r')) line.remove_suffix(1);
  ++number_;
  return true;
}

Status CsvRows::split_line(std::string_view line) {
  if (line.find('"') != std::string_view::npos) {
    return invalid_argument(where() + ": got a quoted field, expected plain ones");
  }
  fields_.clear();
  for (size_t from = 0;;) {
    const size_t comma = line.find(',', from);
    fields_.push_back(trim(line.substr(from, comma - from)));
    if (comma == std::string_view::npos) return {};
    from = comma + 1;
  }
}

Result<bool> CsvRows::next(std::vector<std::string_view>& fields) {
  std::string_view line;
  do {
    const auto there = next_line(line);
    if (!there || !*there) return there;
  } while (trim(line).empty());
  RETURN_IF_ERROR(split_line(line));
  if (columns_.empty()) {
    fields = fields_;
    return true;
  }
  fields.clear();
  for (const size_t place : places_) {
    if (place >= fields_.size()) {
      return invalid_argument(where() + ": got " + std::to_string(fields_.size()) +
                              " fields, expected " + join(columns_, ","));
    }
    fields.push_back(fields_[place]);
  }
  return true;
}

Result<bool> CsvRows::next_numbers(std::span<double> numbers) {
  const auto there = next(wanted_);
  if (!there || !*there) return there;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const auto value = number(wanted_, i);
    if (!value) return value.error();
    numbers[i] = *value;
  }
  return true;
}

std::string CsvRows::where() const { return path_ + ":" + std::to_string(number_); }

Error CsvRows::bad(size_t column, std::string_view text, const std::string& expected) const {
  const std::string name =
      column < columns_.size() ? columns_[column] : "field " + std::to_string(column + 1);
  return invalid_argument(where() + ": " + name + ": got " + quote(text) + ", expected " +
                          expected);
}

Result<int64_t> CsvRows::tokens(const std::vector<std::string_view>& fields, size_t column) const {
  const auto number = parse_int(fields[column]);
  if (number && *number >= 0 && *number <= kMostTraceTokens) return *number;
  return bad(column, fields[column], "tokens, 0 to " + std::to_string(kMostTraceTokens));
}

Result<double> CsvRows::number(const std::vector<std::string_view>& fields, size_t column) const {
  const auto value = parse_double(fields[column]);
  if (value && *value >= 0 && std::isfinite(*value)) return *value;
  return bad(column, fields[column], "a number of at least 0");
}

}  // namespace touchstone::workload
