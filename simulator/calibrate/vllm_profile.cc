#include "simulator/calibrate/vllm_profile.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/sha256.h"
#include "base/text.h"
#include "simulator/steptime/model_shape.h"
#include "workload/traces/csv.h"

namespace touchstone::simulator {
namespace {

using workload::csv_file;
using workload::CsvRows;

constexpr double kNsPerUs = 1e3;
// Layers that a step has once; the others are in every block of the model.
const std::set<std::string> kOnce = {"embedding", "final_layernorm"};
// Norms: one before attention, one before the linear layers after it.
const std::map<std::string, double> kTimesInABlock = {{"layernorm", 2}};
// The host's part of a step: as in operations.cc.
constexpr double kStepNs = 126e3;
constexpr double kRequestNs = 4.4e3;

using Points = std::map<double, std::map<double, double>>;

/// Sums the layers' times by the number in the second column.
Status read_layers(const std::string& path, const std::string& by, double blocks,
                   std::map<double, double>& sums) {
  auto rows = CsvRows::open(path, {"layer", by, "time_us"});
  if (!rows) return std::move(rows).error();
  for (std::vector<std::string_view> fields;;) {
    const auto there = rows->next(fields);
    if (!there) return there.error();
    if (!*there) return {};
    const auto count = rows->number(fields, 1);
    if (!count) return count.error();
    const auto time_us = rows->number(fields, 2);
    if (!time_us) return time_us.error();
    const std::string layer(fields[0]);
    const auto times = kTimesInABlock.find(layer);
    double factor = times == kTimesInABlock.end() ? 1.0 : times->second;
    if (!kOnce.contains(layer)) factor *= blocks;
    sums[*count] += factor * *time_us * kNsPerUs;
  }
}

/// Steps that only decode, and steps that compute one prompt: the others are sums of both.
Status read_attention(const std::string& path, double blocks, Points& decode, Points& prefill) {
  auto rows =
      CsvRows::open(path, {"prefill_chunk", "kv_prefill", "n_decode", "kv_decode", "time_us"});
  if (!rows) return std::move(rows).error();
  for (std::array<double, 5> n;;) {
    const auto there = rows->next_numbers(n);
    if (!there) return there.error();
    if (!*there) return {};
    const double ns = n[4] * kNsPerUs * blocks;
    if (n[0] == 0 && n[2] > 0) decode[n[2]][n[3]] = ns;
    if (n[0] > 0 && n[2] == 0) prefill[n[0]][n[1]] = ns;
  }
}

/// The mean over the rows without prompts' tokens; 0 without the file.
Result<double> read_skew(const std::string& path) {
  if (!std::filesystem::exists(csv_file(path))) return 0.0;
  auto rows = CsvRows::open(path, {"pc", "alpha", "n_samples"});
  if (!rows) return std::move(rows).error();
  double sum = 0;
  double samples = 0;
  for (std::vector<std::string_view> fields;;) {
    const auto there = rows->next(fields);
    if (!there) return there.error();
    if (!*there) break;
    const auto count = rows->number(fields, 2);
    if (!count) return count.error();
    const auto alpha = parse_double(fields[1]);
    if (!alpha || fields[0] != "0") continue;
    sum += *alpha * *count;
    samples += *count;
  }
  return samples > 0 ? std::max(0.0, sum / samples) : 0.0;
}

Result<Grid> line_grid(const std::map<double, double>& points) {
  std::vector<double> columns;
  std::vector<double> values;
  for (const auto& [column, value] : points) {
    columns.push_back(column);
    values.push_back(value);
  }
  return Grid::make({0}, std::move(columns), std::move(values));
}

/// The rows that were measured at every column.
Result<Grid> full_grid(const Points& points) {
  std::set<double> axis;
  for (const auto& [row, line] : points) {
    for (const auto& [column, value] : line) axis.insert(column);
  }
  std::vector<double> rows;
  std::vector<double> values;
  for (const auto& [row, line] : points) {
    if (line.size() != axis.size()) continue;
    rows.push_back(row);
    for (const auto& [column, value] : line) values.push_back(value);
  }
  return Grid::make(std::move(rows), {axis.begin(), axis.end()}, std::move(values));
}

}  // namespace

Result<ModelFile> compose_vllm_profile(const std::string& folder, const std::string& model_config) {
  const auto model = read_model_shape(model_config);
  if (!model) return model.error();
  const auto blocks = static_cast<double>(model->layers);
  const std::string dense = folder + "/dense.csv";
  const std::string head = folder + "/per_sequence.csv";
  const std::string attention = folder + "/attention.csv";
  std::map<double, double> dense_ns;
  std::map<double, double> head_ns;
  Points decode_ns;
  Points prefill_ns;
  RETURN_IF_ERROR(read_layers(dense, "tokens", blocks, dense_ns));
  RETURN_IF_ERROR(read_layers(head, "sequences", 1, head_ns));
  RETURN_IF_ERROR(read_attention(attention, blocks, decode_ns, prefill_ns));
  const auto skew = read_skew(folder + "/skew_fit.csv");
  if (!skew) return skew.error();
  StepTable table{.step_ns = kStepNs, .request_ns = kRequestNs, .skew = *skew};
  table.what = "vLLM's layers as profiled in " + folder;
  const std::pair<const char*, std::pair<Grid*, Result<Grid>>> grids[] = {
      {"dense.csv", {&table.dense, line_grid(dense_ns)}},
      {"per_sequence.csv", {&table.head, line_grid(head_ns)}},
      {"attention.csv", {&table.decode_attention, full_grid(decode_ns)}},
      {"attention.csv", {&table.prefill_attention, full_grid(prefill_ns)}}};
  for (const auto& [name, grid] : grids) {
    if (!grid.second) return Error(grid.second.error()).with_context(folder + "/" + name);
    *grid.first = *grid.second;
  }
  ModelFile file;
  file.validity = validity_of(table);
  file.shape = std::move(table);
  ModelOrigin origin{.name = folder,
                     .engine = "layers of vllm",
                     .model = model->name,
                     .hardware = "as profiled",
                     .role = "operations"};
  for (const std::string& path : {dense, head, attention}) {
    const auto digest = file_sha256_hex(csv_file(path));
    if (!digest) return digest.error();
    origin.digests[csv_file(path).substr(folder.size() + 1)] = *digest;
  }
  file.origins.push_back(std::move(origin));
  file.notes = {
      "attention of decoding and of prompts is added up where a step has both; no run "
      "was used: calibrate --base refines it with one"};
  return file;
}

}  // namespace touchstone::simulator
