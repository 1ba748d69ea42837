#include "harness/evidence.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/files.h"
#include "conformance/evidence_reader.h"
#include "harness/wire/hop_log.h"
#include "telemetry/prometheus/text.h"

namespace touchstone::harness {
namespace {

/// Adds the samples of `more`; series that both have are summed, as for one server of both.
void merge(telemetry::MetricFamily& family, std::vector<telemetry::Sample> more) {
  std::map<std::pair<std::string, telemetry::Labels>, size_t> known;
  for (size_t i = 0; i < family.samples.size(); ++i) {
    known.try_emplace({family.samples[i].name, family.samples[i].labels}, i);
  }
  for (telemetry::Sample& sample : more) {
    const auto found = known.find({sample.name, sample.labels});
    if (found == known.end()) {
      family.samples.push_back(std::move(sample));
    } else {
      family.samples[found->second].value += sample.value;
    }
  }
}

/// The subjects' pages as one. nullopt when none is there; what cannot be parsed is as good as
/// missing, and the run has noted it.
std::optional<telemetry::MetricsPage> metrics_page(const records::RunFolder& run,
                                                   const std::string& name) {
  std::optional<telemetry::MetricsPage> merged;
  for (const auto& [subject, path] : run.of_subjects(name)) {
    const auto text = read_file(path);
    if (!text) continue;
    auto page = telemetry::parse_prometheus_text(path, *text);
    if (!page) continue;
    if (!merged) merged.emplace();
    for (telemetry::MetricFamily& family : page->families) {
      const auto known = std::find_if(merged->families.begin(), merged->families.end(),
                                      [&](const auto& one) { return one.name == family.name; });
      if (known == merged->families.end()) {
        merged->families.push_back(std::move(family));
      } else {
        merge(*known, std::move(family.samples));
      }
    }
  }
  return merged;
}

}  // namespace

Result<conformance::Evidence> evidence_of_run(const records::RunFolder& run, int64_t now_unix_ns) {
  namespace run_files = records::run_files;
  conformance::Evidence evidence;
  evidence.now_unix_ns = now_unix_ns;
  auto ledger = records::read_ledger(run.file(run_files::kLedger));
  if (ledger) {
    evidence.ledger = std::move(*ledger);
  } else if (ledger.error().code != ErrorCode::kNotFound) {
    return std::move(ledger).error();
  }
  evidence.metrics = metrics_page(run, run_files::kMetrics);
  evidence.metrics_before = metrics_page(run, run_files::kMetricsBefore);
  evidence.collector_metrics = metrics_page(run, run_files::kCollectorMetrics);
  if (run.has(run_files::kHops)) {
    auto hops = read_hop_log(run.file(run_files::kHops));
    if (!hops) return std::move(hops).error();
    evidence.hops = std::move(*hops);
  }
  return evidence;
}

Status read_run_spans(const records::RunFolder& run, conformance::Evidence& evidence,
                      const std::function<Status(const telemetry::TraceBatch&)>& visit) {
  RETURN_IF_ERROR(conformance::read_spans(run.span_files(), evidence, visit));
  conformance::count_torn_tails_as_problems(evidence);
  return {};
}

std::string profile_of_run(const records::RunFolder& run, const std::string& name) {
  return name.ends_with(".yaml") && run.has(name) ? run.file(name) : name;
}

}  // namespace touchstone::harness
