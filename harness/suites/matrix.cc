#include "harness/suites/matrix.h"

#include <algorithm>

#include "base/document.h"
#include "base/files.h"
#include "base/text.h"
#include "harness/faults/fault.h"

namespace touchstone::harness {
namespace {

constexpr std::string_view kPlace = "${matrix.";
constexpr size_t kCellsMax = 1000;

}  // namespace

Result<std::vector<Cell>> read_cells(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto document = Document::parse_yaml(path, *text);
  if (!document) return std::move(document).error();
  const Fields matrix = document->root().object("matrix");
  std::vector<Cell> cells = {{}};
  for (const std::string& axis : matrix.keys()) {
    const std::vector<std::string> words = matrix.strings(axis);
    if (words.empty()) matrix.fail(axis, "got nothing, expected the words of the axis as a list");
    if (!is_part_name(axis)) matrix.fail(axis, "expected letters, digits, `_` and `-`");
    std::vector<Cell> more;
    for (const Cell& cell : cells) {
      for (const std::string& word : words) {
        more.push_back(cell);
        more.back()[axis] = word;
      }
    }
    cells = std::move(more);
    if (cells.size() > kCellsMax) {
      matrix.fail(axis, "got more than " + std::to_string(kCellsMax) + " cells");
      break;
    }
  }
  document->root().accept_all();
  RETURN_IF_ERROR(document->finish());
  return cells;
}

std::string to_string(const Cell& cell) {
  std::vector<std::string> words;
  for (const auto& [axis, word] : cell) words.push_back(axis + "=" + word);
  return join(words, ",");
}

Result<Cell> parse_cell(const std::string& text) {
  Cell cell;
  for (const std::string& part : split(text, ',')) {
    const size_t equals = part.find('=');
    if (equals == std::string::npos || equals == 0) {
      return invalid_argument("got " + quote(text) + ", expected AXIS=WORD,AXIS=WORD");
    }
    cell[part.substr(0, equals)] = part.substr(equals + 1);
  }
  return cell;
}

Result<std::string> with_cell(const std::string& name, const std::string& text, const Cell& cell) {
  std::string filled;
  size_t done = 0;
  for (size_t at = text.find(kPlace); at != std::string::npos; at = text.find(kPlace, done)) {
    const size_t end = std::min(text.find('}', at), text.size());
    const std::string axis = text.substr(at + kPlace.size(), end - at - kPlace.size());
    const auto word = cell.find(axis);
    if (word == cell.end()) {
      const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<int64_t>(at), '\n');
      return invalid_argument(
          name + ":" + std::to_string(line) + ": got ${matrix." + axis +
              "}, expected one of: " + (cell.empty() ? "none, no cell is chosen" : to_string(cell)),
          "`matrix` names the axes; --cell AXIS=WORD,… chooses one cell");
    }
    filled += text.substr(done, at - done) + word->second;
    done = std::min(end + 1, text.size());
  }
  return filled + text.substr(done);
}

}  // namespace touchstone::harness
