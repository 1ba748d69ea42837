// Evidence from files: the one reader that everybody who judges shares. Spans are handed on batch
// by batch and never all in memory; nothing is dropped silently. Thread-compatible.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "conformance/evidence.h"
#include "conformance/judge.h"
#include "telemetry/span.h"

namespace touchstone::conformance {

/// Where evidence lies. Empty: was not collected.
struct EvidencePaths {
  std::vector<std::string> spans;  ///< OTLP JSON lines: plain, .gz or .zst
  std::string ledger;
  std::string metrics;
  std::string metrics_before;
  std::string collector_metrics;
  bool live = false;  ///< `spans` are still written: they may end inside a line
};

/// All but the spans. ERRORS: kNotFound, kInvalidArgument, kMalformed, kIo.
Result<Evidence> read_evidence(const EvidencePaths& paths, int64_t now_unix_ns);

/// Hands the spans of each file to `visit`, in order, on the caller's thread; another reads ahead.
/// Problems, lines of other signals and digests go into `evidence`. ERRORS: kNotFound, kIo, or what
/// `visit` returned.
Status read_spans(const std::vector<std::string>& files, Evidence& evidence,
                  const std::function<Status(const telemetry::TraceBatch&)>& visit);

/// Of files that nobody writes any more: an end inside a line is a loss like any other.
void count_torn_tails_as_problems(Evidence& evidence);

struct JudgedFiles {
  result::Report report;
  int64_t spans = 0;  ///< that were read
};
/// From files to a report, in memory that does not grow with the spans' size.
Result<JudgedFiles> judge_files(const EvidencePaths& paths, int64_t now_unix_ns,
                                const std::vector<Profile>& profiles, const JudgeOptions& options);

}  // namespace touchstone::conformance
