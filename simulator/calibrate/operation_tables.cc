#include "simulator/calibrate/operation_tables.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>

#include "base/document.h"
#include "base/files.h"
#include "base/sha256.h"
#include "base/text.h"
#include "workload/traces/csv.h"

namespace touchstone::simulator {
namespace {

using workload::csv_file;
using workload::CsvRows;

constexpr double kNsPerMs = 1e6;
constexpr double kNsPerS = 1e9;

/// Straight through two points.
double beyond(double x, std::pair<double, double> a, std::pair<double, double> b) {
  return std::max(0.0, b.second + (x - b.first) * (b.second - a.second) / (b.first - a.first));
}

/// A whole grid: where a row was not measured so far, its last two points go on.
Result<Grid> whole_grid(const std::map<double, std::map<double, double>>& points) {
  std::set<double> axis;
  for (const auto& [row, line] : points) {
    for (const auto& [column, value] : line) axis.insert(column);
  }
  std::vector<double> rows;
  std::vector<double> values;
  for (const auto& [row, line] : points) {
    if (line.size() < 2) continue;
    rows.push_back(row);
    for (const double column : axis) {
      const auto after = line.lower_bound(column);
      if (after != line.end() && after->first == column) {
        values.push_back(after->second);
      } else if (after == line.end()) {
        values.push_back(beyond(column, *std::prev(line.end(), 2), *std::prev(line.end())));
      } else if (after == line.begin()) {
        values.push_back(after->second);
      } else {
        values.push_back(beyond(column, *std::prev(after), *after));
      }
    }
  }
  return Grid::make(std::move(rows), {axis.begin(), axis.end()}, std::move(values));
}

Status read_gemm(const std::string& path, GemmTimes& gemm) {
  auto rows = CsvRows::open(path, {"m", "n", "k", "latency"});
  if (!rows) return std::move(rows).error();
  for (std::array<double, 4> n;;) {
    const auto there = rows->next_numbers(n);
    if (!there) return there.error();
    if (!*there) break;
    gemm.add(n[0], n[1], n[2], n[3] * kNsPerMs);
  }
  const Status settled = gemm.settle();
  return settled ? settled : Status(Error(settled.error()).with_context(path));
}

struct Heads {
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
};

/// `context`: new tokens on the columns, a single sequence; else sequences x tokens read.
Result<Grid> read_attention(const std::string& path, const Heads& wanted, bool context) {
  auto rows = CsvRows::open(path, {"num_heads", "num_key_value_heads", "head_dim", "batch_size",
                                   "isl", "step", "latency"});
  if (!rows) return std::move(rows).error();
  std::map<double, std::map<double, double>> points;
  for (std::array<double, 7> n;;) {
    const auto there = rows->next_numbers(n);
    if (!there) return there.error();
    if (!*there) break;
    if (n[0] != static_cast<double>(wanted.heads) || n[1] != static_cast<double>(wanted.kv_heads) ||
        n[2] != static_cast<double>(wanted.head_dim)) {
      continue;
    }
    if (context && n[3] == 1) points[0][n[4]] = n[6] * kNsPerMs;
    if (!context) points[n[3]][n[5] + n[4]] = n[6] * kNsPerMs;
  }
  if (points.empty()) {
    return invalid_argument(csv_file(path) + ": got no measurement of " +
                            std::to_string(wanted.heads) + " heads and " +
                            std::to_string(wanted.kv_heads) + " key-value heads of " +
                            std::to_string(wanted.head_dim) + ", expected some");
  }
  return whole_grid(points);
}

Status read_system(const std::string& path, OperationTables& tables) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto document = Document::parse_yaml(path, *text);
  if (!document) return std::move(document).error();
  document->ignore_unknown_keys();
  const Fields gpu = document->root().required_object("gpu");
  const Fields node = document->root().required_object("node");
  tables.memory_bytes_per_ns = gpu.required_double("mem_bw") *
                               gpu.required_double("mem_bw_empirical_scaling_factor") / kNsPerS;
  tables.operation_ns = gpu.required_double("mem_empirical_constant_latency") * kNsPerS;
  tables.link_bytes_per_ns = node.required_double("intra_node_bw") / kNsPerS;
  tables.link_ns = node.required_double("p2p_latency") * kNsPerS;
  if (!(tables.memory_bytes_per_ns > 0)) gpu.fail("mem_bw", "expected more than 0");
  if (!(tables.link_bytes_per_ns > 0)) node.fail("intra_node_bw", "expected more than 0");
  return document->finish();
}

}  // namespace

Status GemmTimes::settle() {
  std::set<double> outputs;
  std::set<double> inputs;
  std::set<double> tokens;
  for (const auto& [shape, line] : points_) {
    outputs.insert(shape.first);
    inputs.insert(shape.second);
    for (const auto& [m, ns] : line) tokens.insert(m);
  }
  if (tokens.empty()) return invalid_argument("got no matrix product, expected some");
  for (const double m : tokens) {
    std::vector<double> values;
    for (const double n : outputs) {
      std::optional<std::pair<double, double>> before;  // inputs, time
      for (const double k : inputs) {
        const auto line = points_.find({n, k});
        const bool measured = line != points_.end() && line->second.contains(m);
        if (!measured && !before) break;
        // The largest shapes do not fit into every card: as much more as there is to multiply.
        const double ns = measured ? line->second.at(m) : before->second * k / before->first;
        before = {k, ns};
        values.push_back(ns);
      }
    }
    if (values.size() != outputs.size() * inputs.size()) continue;  // not measured at all
    auto grid = Grid::make({outputs.begin(), outputs.end()}, {inputs.begin(), inputs.end()},
                           std::move(values));
    if (!grid) return std::move(grid).error();
    tokens_.push_back(m);
    by_tokens_.push_back(std::move(*grid));
  }
  points_.clear();
  if (tokens_.size() < 2) return invalid_argument("got no whole grid of shapes, expected one");
  return {};
}

double GemmTimes::at(double tokens, double outputs, double inputs) const {
  const auto above = std::upper_bound(tokens_.begin() + 1, tokens_.end() - 1, tokens);
  const auto high = static_cast<size_t>(above - tokens_.begin());
  const double low_ns = by_tokens_[high - 1].at(outputs, inputs);
  const double high_ns = by_tokens_[high].at(outputs, inputs);
  if (tokens <= tokens_[high - 1]) return low_ns;
  return beyond(tokens, {tokens_[high - 1], low_ns}, {tokens_[high], high_ns});
}

Result<OperationTables> read_operations(const std::string& folder, const std::string& system,
                                        const std::string& dtype, int64_t heads, int64_t kv_heads,
                                        int64_t head_dim) {
  const std::string stem = folder + "/" + system + ".";
  const std::string gemm = stem + "gemm." + dtype + ".csv";
  const std::string context = stem + "context_attention." + dtype + ".csv";
  const std::string generation = stem + "generation_attention." + dtype + ".csv";
  OperationTables tables;
  RETURN_IF_ERROR(read_system(stem + "yaml", tables));
  RETURN_IF_ERROR(read_gemm(gemm, tables.gemm));
  const Heads wanted{heads, kv_heads, head_dim};
  auto context_attention = read_attention(context, wanted, true);
  if (!context_attention) return std::move(context_attention).error();
  tables.context_attention = std::move(*context_attention);
  auto generation_attention = read_attention(generation, wanted, false);
  if (!generation_attention) return std::move(generation_attention).error();
  tables.generation_attention = std::move(*generation_attention);
  for (const std::string& path :
       {stem + "yaml", csv_file(gemm), csv_file(context), csv_file(generation)}) {
    const auto digest = file_sha256_hex(path);
    if (!digest) return digest.error();
    tables.digests[path.substr(folder.size() + 1)] = *digest;
  }
  return tables;
}

}  // namespace touchstone::simulator
