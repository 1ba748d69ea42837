#include "simulator/calibrate/csv.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include "base/text.h"
#include "telemetry/otlp/byte_source.h"

namespace touchstone::simulator {
namespace {

Result<std::string> read_all(const std::string& path) {
  auto source = telemetry::open_bytes(path);
  if (!source) return std::move(source).error();
  std::string text;
  std::array<char, 1 << 16> buffer;
  while (true) {
    const auto count = (*source)->read(buffer);
    if (!count) return count.error();
    if (*count == 0) return text;
    text.append(buffer.data(), *count);
  }
}

}  // namespace

std::string csv_file(const std::string& path) {
  return std::filesystem::exists(path) ? path : path + ".gz";
}

Status read_csv(const std::string& path, const std::vector<std::string>& columns,
                const CsvVisitor& visit) {
  const std::string file = csv_file(path);
  const auto text = read_all(file);
  if (!text) return text.error();
  std::vector<size_t> places;
  std::vector<std::string> values(columns.size());
  int64_t number = 0;
  for (const std::string& line : split(*text, '\n')) {
    ++number;
    if (trim(line).empty()) continue;
    const std::vector<std::string> cells = split(trim(line), ',');
    if (places.empty()) {
      for (const std::string& column : columns) {
        const auto found = std::find(cells.begin(), cells.end(), column);
        if (found == cells.end()) {
          return invalid_argument(file + ":" + std::to_string(number) + ": got no column " +
                                  column + ", expected " + join(columns, ", "));
        }
        places.push_back(static_cast<size_t>(found - cells.begin()));
      }
      continue;
    }
    for (size_t i = 0; i < places.size(); ++i) {
      if (places[i] >= cells.size()) {
        return invalid_argument(file + ":" + std::to_string(number) + ": got " +
                                std::to_string(cells.size()) + " values, expected " +
                                std::to_string(places[i] + 1) + " or more");
      }
      values[i] = cells[places[i]];
    }
    RETURN_IF_ERROR(visit(values, number));
  }
  return {};
}

Result<double> csv_number(const std::string& path, int64_t line, const std::string& column,
                          const std::string& text) {
  const auto value = parse_double(text);
  if (value && *value >= 0 && std::isfinite(*value)) return *value;
  return invalid_argument(csv_file(path) + ":" + std::to_string(line) + ": " + column + ": got " +
                          quote(text) + ", expected a number of at least 0");
}

}  // namespace touchstone::simulator
