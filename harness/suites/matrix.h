// A suite that is run once for each choice of some words: its `matrix` names axes and their words,
// and ${matrix.AXIS} in it stands for the chosen one. Thread-compatible.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace touchstone::harness {

/// One word of each axis: "dialect" → "vllm".
using Cell = std::map<std::string, std::string>;

/// Every cell of the suite, the last axis fastest, axes in order of their names; one empty cell
/// without a matrix. ERRORS: kNotFound, kInvalidArgument `file:line: …`.
Result<std::vector<Cell>> read_cells(const std::string& path);

/// "dialect=vllm,protocol=grpc".
std::string to_string(const Cell& cell);
/// ERRORS: kInvalidArgument.
Result<Cell> parse_cell(const std::string& text);

/// The words of `cell` in their places; lines stay where they are. ERRORS: kInvalidArgument
/// `name:line: …` for an axis that the cell lacks.
Result<std::string> with_cell(const std::string& name, const std::string& text, const Cell& cell);

}  // namespace touchstone::harness
