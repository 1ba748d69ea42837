// What was collected of one run, for checks to look at. Values; thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "records/ledger.h"
#include "telemetry/prometheus/text.h"
#include "telemetry/span.h"

namespace touchstone::conformance {

/// What crossed one boundary of a run, each span once however often it was sent.
struct HopSpans {
  using Id = std::pair<TraceId, SpanId>;
  std::string from;            ///< "subject"
  std::string to;              ///< "collector"
  std::set<Id> taken = {};     ///< acknowledged
  std::set<Id> rejected = {};  ///< acknowledged as rejected: a partial success
  std::set<Id> refused = {};   ///< answered with an error; it may have been taken another time
};

/// All that the checks may look at. What is nullopt was not collected: checks that need it skip.
struct Evidence {
  /// Spans in memory; a Judge can be given others, batch by batch, that never are.
  std::vector<telemetry::TraceBatch> spans;
  /// Lines of the span input that could not be used, as `file:line: problem`.
  std::vector<std::string> span_problems;
  int64_t span_problems_unlisted = 0;  ///< beyond those
  int64_t other_signal_lines = 0;      ///< of the span input: metrics or logs, not judged
  /// Files that end inside a line, as `file:line: …`: they may still be written.
  std::vector<std::string> torn_tails;
  std::map<std::string, std::string> span_digests;  ///< SHA-256 of the files of spans, by path
  std::optional<std::vector<records::LedgerEntry>> ledger;
  std::optional<telemetry::MetricsPage> metrics;         ///< the subject's /metrics at the end
  std::optional<telemetry::MetricsPage> metrics_before;  ///< and before the load; zero if absent
  std::optional<telemetry::MetricsPage> collector_metrics;
  /// In the order that spans take; several of one order for several subjects. Empty: not counted.
  std::vector<HopSpans> hops;
  int64_t now_unix_ns = 0;  ///< for expiry dates only
};

/// Of Evidence::spans.
int64_t span_count(const Evidence& evidence);

}  // namespace touchstone::conformance
