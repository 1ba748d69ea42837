// Comma-separated numbers under a line of names, plain or gzip. Thread-compatible.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace touchstone::simulator {

/// One line's values of the wanted columns, in the order they were asked for.
using CsvVisitor = std::function<Status(std::span<const std::string> values, int64_t line)>;

/// Reads `path`, or `path`.gz when it is not there. ERRORS: kNotFound, kIo; kInvalidArgument
/// `file:line: got, expected` for a missing column or a short line; what `visit` returned.
Status read_csv(const std::string& path, const std::vector<std::string>& columns,
                const CsvVisitor& visit);

/// A finite number of at least 0. ERRORS: kInvalidArgument `file:line: column: got, expected`.
Result<double> csv_number(const std::string& path, int64_t line, const std::string& column,
                          const std::string& text);

/// The file that read_csv() reads.
std::string csv_file(const std::string& path);

}  // namespace touchstone::simulator
