#include "records/bench_run.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/document.h"
#include "base/files.h"
#include "base/text.h"
#include "records/field_table.h"

namespace touchstone::records {

template <typename Visitor, OneOf<BenchSeries> Struct>
void visit_fields(Visitor& visit, Struct& series) {
  visit.required("name", series.name);
  visit.always("unit", series.unit);
  visit.always("higher_is_better", series.higher_is_better);
  visit.required("samples", series.samples);
}

template <typename Visitor, OneOf<BenchRun> Struct>
void visit_fields(Visitor& visit, Struct& run) {
  visit.version("bench_run", run.version, kBenchRunVersion);
  visit.optional("subject", run.subject);
  visit.optional("session", run.session);
  visit.optional("facts", run.facts);
  visit.always("series", run.series);
}

namespace {

using nlohmann::json;

/// What `vllm bench serve` saves of a run, each one figure.
struct VllmFigure {
  const char* key;
  const char* unit;
  bool higher_is_better;
};
constexpr std::array<VllmFigure, 12> kVllmFigures = {{
    {"request_throughput", "requests/s", true},
    {"request_goodput", "requests/s", true},
    {"output_throughput", "tokens/s", true},
    {"total_token_throughput", "tokens/s", true},
    {"mean_ttft_ms", "ms", false},
    {"median_ttft_ms", "ms", false},
    {"p99_ttft_ms", "ms", false},
    {"mean_tpot_ms", "ms", false},
    {"median_tpot_ms", "ms", false},
    {"p99_tpot_ms", "ms", false},
    {"mean_itl_ms", "ms", false},
    {"p99_itl_ms", "ms", false},
}};

/// The text at `key` of an object, or `fallback`.
std::string text_of(const json& object, const char* key, const std::string& fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : fallback;
}

double seconds_of(double time, const std::string& unit) {
  if (unit == "ns") return time * 1e-9;
  if (unit == "us") return time * 1e-6;
  return unit == "ms" ? time * 1e-3 : time;
}

Result<std::vector<BenchSeries>> google_series(const std::string& where, const json& tree) {
  std::vector<BenchSeries> series;
  const auto found = tree.find("benchmarks");
  if (found == tree.end() || !found->is_array()) {
    return invalid_argument(where + ": benchmarks: got none, expected a list of figures");
  }
  for (const json& one : *found) {
    const std::string name = text_of(one, "run_name", text_of(one, "name", ""));
    if (text_of(one, "run_type", "iteration") != "iteration") continue;
    const auto failed = one.find("error_occurred");
    if (failed != one.end() && *failed == true) {
      return invalid_argument(where + ": " + name + ": got an error: " +
                              text_of(one, "error_message", "none told") + ", expected a time");
    }
    const auto time = one.find("real_time");
    if (name.empty() || time == one.end() || !time->is_number()) continue;
    const std::string unit = text_of(one, "time_unit", "ns");
    add_series({{name, "s", false, {seconds_of(time->get<double>(), unit)}}}, series);
    const auto cpu = one.find("cpu_time");
    if (cpu == one.end() || !cpu->is_number()) continue;
    add_series({{name + " cpu", "s", false, {seconds_of(cpu->get<double>(), unit)}}}, series);
  }
  return series;
}

std::vector<BenchSeries> vllm_series(const json& tree) {
  std::vector<BenchSeries> series;
  for (const VllmFigure& figure : kVllmFigures) {
    const auto found = tree.find(figure.key);
    if (found == tree.end() || !found->is_number()) continue;
    series.push_back({figure.key, figure.unit, figure.higher_is_better, {found->get<double>()}});
  }
  return series;
}

Result<BenchRun> own_run(const std::string& path, const std::string& text) {
  auto document = Document::parse_json(path, text);
  if (!document) return std::move(document).error();
  document->ignore_unknown_keys();
  auto run = fields_from<BenchRun>(document->root());
  RETURN_IF_ERROR(document->finish());
  return run;
}

}  // namespace

std::string to_json(const BenchRun& run) {
  return fields_to_json(run).dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void add_series(const std::vector<BenchSeries>& more, std::vector<BenchSeries>& series) {
  for (const BenchSeries& one : more) {
    const auto found = std::find_if(series.begin(), series.end(),
                                    [&](const BenchSeries& has) { return has.name == one.name; });
    if (found == series.end()) {
      series.push_back(one);
    } else {
      found->samples.insert(found->samples.end(), one.samples.begin(), one.samples.end());
    }
  }
}

Result<std::vector<BenchSeries>> read_google_benchmark(const std::string& where,
                                                       const std::string& text) {
  const json tree = json::parse(text, nullptr, false);
  if (!tree.is_object()) return invalid_argument(where + ": got no JSON object, expected one");
  return google_series(where, tree);
}

Result<BenchRun> read_bench_run(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  const json tree = json::parse(*text, nullptr, false);
  if (!tree.is_object()) {
    return invalid_argument(path + ": got no JSON object, expected the figures of a benchmark");
  }
  if (tree.contains("bench_run")) return own_run(path, *text);
  BenchRun run;
  if (tree.contains("benchmarks")) {
    auto series = google_series(path, tree);
    if (!series) return std::move(series).error();
    run.series = std::move(*series);
  } else {
    run.series = vllm_series(tree);
  }
  if (!run.series.empty()) return run;
  return invalid_argument(
      path +
      ": got no figure, expected those of `touchstone bench run`, of a Google Benchmark "
      "with --benchmark_format=json or of `vllm bench serve --save-result`");
}

}  // namespace touchstone::records
