// From what was collected to a verdict. Pure: reads no files, starts nothing, has no clock.
// One thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "conformance/profile/profile.h"
#include "records/ledger.h"
#include "result/result_model.h"
#include "telemetry/prometheus/text.h"
#include "telemetry/span.h"

namespace touchstone::conformance {

/// A quantile of a phase that must not exceed a threshold.
struct Budget {
  std::string phase;  ///< "queue", "prefill", "ttft", "tpot", "decode", "inference", "e2e"
  double quantile = 0.95;
  double threshold_s = 0;
  double confidence = 0.95;
  int64_t min_samples = 1;
};

/// A deviation that is known and accepted. One that no longer occurs fails the run.
struct Suppression {
  std::string check_id;  ///< id or id prefix
  std::string subject;   ///< substring of the finding's subject; empty: any
  std::string reason;
  std::optional<int64_t> expires_unix_ns;
  std::string where;  ///< file:line, for messages
};

/// All that the checks may look at. What is nullopt was not collected: checks that need it skip.
struct Evidence {
  std::vector<telemetry::TraceBatch> spans;
  /// Lines of the span input that could not be used, as `file:line: problem`.
  std::vector<std::string> span_problems;
  std::optional<std::vector<records::LedgerEntry>> ledger;
  std::optional<telemetry::MetricsPage> metrics;         ///< the subject's /metrics at the end
  std::optional<telemetry::MetricsPage> metrics_before;  ///< and before the load; zero if absent
  std::optional<telemetry::MetricsPage> collector_metrics;
  int64_t now_unix_ns = 0;  ///< for expiry dates only
};

struct JudgeOptions {
  std::vector<Budget> budgets;
  std::vector<Suppression> suppressions;
  result::Level fail_on = result::Level::kMust;
};

int64_t span_count(const Evidence& evidence);

/// "64 spans: 47 checks passed, …": Report::summary. Again after checks were added to a report.
std::string summary_of(const result::Report& report, int64_t spans);

/// Runs every check that applies of every profile; fills checks, coverage, budgets, verdict.
/// No span at all gives verdict unknown (exit 3), never pass.
result::Report judge(const Evidence& evidence, const std::vector<Profile>& profiles,
                     const JudgeOptions& options);

}  // namespace touchstone::conformance
