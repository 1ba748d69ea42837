#include "harness/evidence.h"

#include <optional>
#include <utility>

#include "base/files.h"
#include "telemetry/otlp/file.h"
#include "telemetry/prometheus/text.h"

namespace touchstone::harness {
namespace {

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

Result<conformance::Evidence> evidence_of_run(const records::RunFolder& run, int64_t now_unix_ns) {
  namespace run_files = records::run_files;
  conformance::Evidence evidence;
  evidence.now_unix_ns = now_unix_ns;
  for (const std::string& file : run.span_files()) {
    auto read = telemetry::read_otlp_file(file);
    if (!read) return std::move(read).error();
    evidence.spans.push_back(std::move(read->batch));
    for (std::string& problem : read->summary.problems) {
      evidence.span_problems.push_back(std::move(problem));
    }
  }
  auto ledger = records::read_ledger(run.file(run_files::kLedger));
  if (ledger) {
    evidence.ledger = std::move(*ledger);
  } else if (ledger.error().code != ErrorCode::kNotFound) {
    return std::move(ledger).error();
  }
  evidence.metrics = metrics_page(run.file(run_files::kMetrics));
  evidence.metrics_before = metrics_page(run.file(run_files::kMetricsBefore));
  evidence.collector_metrics = metrics_page(run.file(run_files::kCollectorMetrics));
  return evidence;
}

}  // namespace touchstone::harness
