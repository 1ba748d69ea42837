#include "harness/evidence.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <vector>

#include "base/files.h"
#include "harness/stack/run.h"
#include "telemetry/otlp/file.h"
#include "telemetry/prometheus/text.h"

namespace touchstone::harness {
namespace {

namespace fs = std::filesystem;

/// spans.otlp.jsonl and what its rotation left beside it: spans.otlp-<date>….jsonl.
std::vector<std::string> span_files(const std::string& run_folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(run_folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("spans.otlp") && name.ends_with(".jsonl")) {
      files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// nullopt when the file is missing; what cannot be parsed is as good as missing, and the run has
/// noted it.
std::optional<telemetry::MetricsPage> metrics_page(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return std::nullopt;
  auto page = telemetry::parse_prometheus_text(path, *text);
  if (!page) return std::nullopt;
  return std::move(*page);
}

}  // namespace

Result<conformance::Evidence> evidence_of_run(const std::string& run_folder, int64_t now_unix_ns) {
  conformance::Evidence evidence;
  evidence.now_unix_ns = now_unix_ns;
  for (const std::string& file : span_files(run_folder)) {
    auto read = telemetry::read_otlp_file(file);
    if (!read) return std::move(read).error();
    evidence.spans.push_back(std::move(read->batch));
    for (std::string& problem : read->summary.problems) {
      evidence.span_problems.push_back(std::move(problem));
    }
  }
  auto ledger = records::read_ledger(run_folder + "/" + kLedgerFile);
  if (ledger) {
    evidence.ledger = std::move(*ledger);
  } else if (ledger.error().code != ErrorCode::kNotFound) {
    return std::move(ledger).error();
  }
  evidence.metrics = metrics_page(run_folder + "/" + kMetricsFile);
  evidence.metrics_before = metrics_page(run_folder + "/" + kMetricsBeforeFile);
  evidence.collector_metrics = metrics_page(run_folder + "/" + kCollectorMetricsFile);
  return evidence;
}

}  // namespace touchstone::harness
