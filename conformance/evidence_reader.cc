#include "conformance/evidence_reader.h"

#include <optional>
#include <utility>

#include "base/files.h"
#include "records/ledger.h"
#include "telemetry/otlp/read_ahead.h"
#include "telemetry/prometheus/text.h"

namespace touchstone::conformance {
namespace {

Status read_page(const std::string& path, std::optional<telemetry::MetricsPage>& page) {
  if (path.empty()) return {};
  const Result<std::string> text = read_file(path);
  if (!text) return text.error();
  auto parsed = telemetry::parse_prometheus_text(path, *text);
  if (!parsed) return std::move(parsed).error();
  page = *std::move(parsed);
  return {};
}

}  // namespace

Result<Evidence> read_evidence(const EvidencePaths& paths, int64_t now_unix_ns) {
  Evidence evidence;
  evidence.now_unix_ns = now_unix_ns;
  if (!paths.ledger.empty()) {
    auto ledger = records::read_ledger(paths.ledger);
    if (!ledger) return std::move(ledger).error();
    evidence.ledger = *std::move(ledger);
  }
  RETURN_IF_ERROR(read_page(paths.metrics, evidence.metrics));
  RETURN_IF_ERROR(read_page(paths.metrics_before, evidence.metrics_before));
  RETURN_IF_ERROR(read_page(paths.collector_metrics, evidence.collector_metrics));
  return evidence;
}

Status read_spans(const std::vector<std::string>& files, Evidence& evidence,
                  const std::function<Status(const telemetry::TraceBatch&)>& visit) {
  auto summaries = telemetry::read_otlp_files_ahead(
      files, visit, {.digest = telemetry::FileBytes::Digest::kSha256});
  if (!summaries) return std::move(summaries).error();
  for (size_t i = 0; i < files.size(); ++i) {
    telemetry::OtlpFileSummary& summary = (*summaries)[i];
    const auto listed = static_cast<int64_t>(summary.problems.size());
    evidence.span_problems_unlisted += summary.problem_count - listed;
    evidence.other_signal_lines += summary.other_signal_lines;
    for (std::string& problem : summary.problems) {
      evidence.span_problems.push_back(std::move(problem));
    }
    if (!summary.torn_tail.empty()) evidence.torn_tails.push_back(std::move(summary.torn_tail));
    evidence.span_digests[files[i]] = std::move(summary.sha256);
  }
  return {};
}

void count_torn_tails_as_problems(Evidence& evidence) {
  evidence.span_problems.insert(evidence.span_problems.end(), evidence.torn_tails.begin(),
                                evidence.torn_tails.end());
  evidence.torn_tails.clear();
}

Result<JudgedFiles> judge_files(const EvidencePaths& paths, int64_t now_unix_ns,
                                const std::vector<Profile>& profiles, const JudgeOptions& options) {
  Result<Evidence> evidence = read_evidence(paths, now_unix_ns);
  if (!evidence) return std::move(evidence).error();
  Judge judge(*evidence, profiles, options);
  RETURN_IF_ERROR(read_spans(paths.spans, *evidence,
                             [&](const telemetry::TraceBatch& batch) { return judge.add(batch); }));
  if (!paths.live) count_torn_tails_as_problems(*evidence);
  const int64_t spans = judge.spans();
  auto report = judge.finish();
  if (!report) return std::move(report).error();
  report->provenance.digests.insert(evidence->span_digests.begin(), evidence->span_digests.end());
  return JudgedFiles{*std::move(report), spans};
}

}  // namespace touchstone::conformance
