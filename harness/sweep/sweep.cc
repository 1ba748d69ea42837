#include "harness/sweep/sweep.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/mutex.h"
#include "base/parallel.h"
#include "base/sha256.h"
#include "base/text.h"
#include "harness/process/capture.h"
#include "result/result_json.h"

namespace touchstone::harness {
namespace {

// A point that takes longer hangs.
constexpr int64_t kTimeoutNs = 24 * 3600 * kNsPerSecond;
// Exit codes of a verb that has answered: good, or findings (a plan that is impossible), or a
// simulation that judges nothing.
constexpr int kAnswered[] = {0, 1};

std::string point_path(const std::string& folder, int64_t index, const char* extension) {
  std::string number = std::to_string(index);
  number.insert(0, number.size() < 5 ? 5 - number.size() : 0, '0');
  return folder + "/points/" + number + extension;
}

/// The folder's mark: a digest of the grid and of the program.
Status claim_folder(const SweepOptions& options, const Grid& grid) {
  std::string text = "touchstone sweep 1\n";
  for (int64_t i = 0; i < grid.points(); ++i) text += join(grid.command(i), "\x1f") + "\n";
  const auto program = file_sha256_hex(options.program);
  if (!program) return program.error();
  const std::string mark = sha256_hex(text + *program) + "\n";
  RETURN_IF_ERROR(make_directories(options.output + "/points"));
  const std::string path = options.output + "/sweep.id";
  const auto there = read_file(path);
  if (there && *there == mark) return {};
  if (there) {
    return invalid_argument(options.output +
                                ": got the points of another grid or program, expected a new "
                                "folder or this grid's",
                            "equal points must come from equal grids");
  }
  return write_file_atomic(path, mark);
}

/// The figures of a point: "Latency: TTFT p95" → text.
using Figures = std::vector<std::pair<std::string, std::string>>;

Result<Figures> figures_of(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  const auto report = result::report_from_json(path, *text);
  if (!report) return report.error();
  Figures figures;
  for (const result::FigureTable& table : report->tables) {
    for (const result::Figure& row : table.rows) {
      for (const result::Cell& cell : row.values) {
        std::string name = table.title + ": " + row.name;
        if (cell.column != "value") name += " " + cell.column;
        if (!row.unit.empty()) name += " (" + row.unit + ")";
        figures.emplace_back(std::move(name), format_double(cell.value));
      }
    }
  }
  return figures;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

/// Every point that is done as a row: its values on the axes, then its figures.
Status write_tables(const SweepOptions& options, const Grid& grid, SweepOutcome& outcome) {
  std::vector<std::string> columns;
  std::map<int64_t, std::map<std::string, std::string>> rows;
  for (int64_t i = 0; i < grid.points(); ++i) {
    const std::string path = point_path(options.output, i, ".json");
    if (!std::filesystem::exists(path)) continue;
    const auto figures = figures_of(path);
    if (!figures) return figures.error();
    for (const auto& [name, value] : *figures) {
      if (std::find(columns.begin(), columns.end(), name) == columns.end()) columns.push_back(name);
      rows[i][name] = value;
    }
  }
  std::vector<std::string> header = {"point"};
  for (const auto& [key, values] : grid.axes) header.push_back(key);
  header.insert(header.end(), columns.begin(), columns.end());
  std::string csv;
  for (size_t i = 0; i < header.size(); ++i) csv += (i > 0 ? "," : "") + csv_field(header[i]);
  std::string markdown = "| " + join(header, " | ") + " |\n|";
  for (size_t i = 0; i < header.size(); ++i) markdown += "---|";
  for (const auto& [index, figures] : rows) {
    std::vector<std::string> cells = {std::to_string(index)};
    for (std::string& value : grid.values(index)) cells.push_back(std::move(value));
    for (const std::string& column : columns) {
      const auto found = figures.find(column);
      cells.push_back(found == figures.end() ? "" : found->second);
    }
    csv += "\n";
    for (size_t i = 0; i < cells.size(); ++i) csv += (i > 0 ? "," : "") + csv_field(cells[i]);
    markdown += "\n| " + join(cells, " | ") + " |";
  }
  outcome.csv_path = options.output + "/sweep.csv";
  outcome.markdown_path = options.output + "/sweep.md";
  RETURN_IF_ERROR(write_file_atomic(outcome.csv_path, csv + "\n"));
  return write_file_atomic(outcome.markdown_path, markdown + "\n");
}

}  // namespace

Result<std::string> run_point(const Grid& grid, int64_t index, const std::string& program,
                              const Clock& clock) {
  if (index < 0 || index >= grid.points()) {
    return invalid_argument("--point: got " + std::to_string(index) + ", expected 0 to " +
                            std::to_string(grid.points() - 1));
  }
  SpawnOptions options{.name = "point " + std::to_string(index), .argv = grid.command(index)};
  options.argv.insert(options.argv.begin(), program);
  auto captured = run_and_capture(std::move(options), Supervision{clock}, kTimeoutNs);
  if (!captured) return std::move(captured).error();
  const bool answered =
      !captured->output.empty() && captured->status.code &&
      std::count(std::begin(kAnswered), std::end(kAnswered), *captured->status.code) > 0;
  if (answered) return std::move(captured->output);
  return invalid_argument("point " + std::to_string(index) + ": " + captured->status.text() + ": " +
                          std::string(trim(captured->errors)));
}

Result<SweepOutcome> run_sweep(const SweepOptions& options, const Clock& clock) {
  const auto grid = read_grid(options.grid_path);
  if (!grid) return grid.error();
  RETURN_IF_ERROR(claim_folder(options, *grid));
  SweepOutcome outcome;
  outcome.points = grid->points();
  const Share share = options.share.value_or(Share{});
  if (options.share) outcome.points = 0;
  std::vector<int64_t> left;
  for (int64_t i = share.index; i < grid->points(); i += share.count) {
    if (options.share) ++outcome.points;
    if (!std::filesystem::exists(point_path(options.output, i, ".json"))) left.push_back(i);
  }
  std::atomic<int64_t> failed = 0;
  int64_t done = outcome.points - std::ssize(left);
  Mutex one_at_a_time;
  Status written;
  run_parallel(left.size(), options.threads, [&](size_t i) {
    const auto printed = run_point(*grid, left[i], options.program, clock);
    if (!printed) ++failed;
    // Whole or not at all: what is there is done.
    Status kept =
        write_file_atomic(point_path(options.output, left[i], printed ? ".json" : ".error"),
                          printed ? *printed : printed.error().message + "\n");
    if (printed) std::filesystem::remove(point_path(options.output, left[i], ".error"));
    const MutexLock lock(one_at_a_time);
    if (written && !kept) written = std::move(kept);
    if (options.progress) options.progress(++done, outcome.points);
  });
  if (!written) return std::move(written).error();
  outcome.ran = std::ssize(left);
  outcome.failed = failed;
  if (!options.share) RETURN_IF_ERROR(write_tables(options, *grid, outcome));
  return outcome;
}

Result<SweepOutcome> gather_sweep(const SweepOptions& options) {
  const auto grid = read_grid(options.grid_path);
  if (!grid) return grid.error();
  RETURN_IF_ERROR(claim_folder(options, *grid));
  SweepOutcome outcome;
  outcome.points = grid->points();
  for (int64_t i = 0; i < outcome.points; ++i) {
    const bool there = std::filesystem::exists(point_path(options.output, i, ".json"));
    ++(there ? outcome.ran : outcome.failed);
  }
  RETURN_IF_ERROR(write_tables(options, *grid, outcome));
  return outcome;
}

Result<Share> parse_share(const std::string& text) {
  const std::vector<std::string> parts = split(text, '/');
  const auto index = parse_int(parts.front());
  const auto count = parse_int(parts.back());
  if (parts.size() == 2 && index && count && *index >= 0 && *index < *count) {
    return Share{*index, *count};
  }
  return invalid_argument("--share: got " + quote(text) + ", expected I/N with 0 <= I < N");
}

}  // namespace touchstone::harness
