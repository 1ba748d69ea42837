// One run of a suite: Collector up, subject up, load, drain, stop, collect. What comes out is a run
// folder; judging it is for others. Thread-compatible.
//
//   RUN/server.json            engine, version, flags, model, hardware
//   RUN/requests.jsonl         the ledger
//   RUN/spans.otlp.jsonl       what came through the Collector (older rotated parts beside it)
//   RUN/metrics_before.txt     the subject's /metrics before and
//   RUN/metrics.txt            after the load
//   RUN/collector_metrics.txt  the Collector's own counters, after the last span
//   RUN/steps.jsonl, records.jsonl   when the subject writes them
//   RUN/logs/                  what subject and Collector printed
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "harness/collector/find.h"
#include "harness/process/child.h"
#include "harness/suites/suite.h"
#include "result/result_model.h"

namespace touchstone::harness {

/// File names in a run folder.
inline constexpr char kServerFile[] = "server.json";
inline constexpr char kLedgerFile[] = "requests.jsonl";
inline constexpr char kSpansFile[] = "spans.otlp.jsonl";
inline constexpr char kMetricsBeforeFile[] = "metrics_before.txt";
inline constexpr char kMetricsFile[] = "metrics.txt";
inline constexpr char kCollectorMetricsFile[] = "collector_metrics.txt";
inline constexpr char kStepsFile[] = "steps.jsonl";
inline constexpr char kRecordsFile[] = "records.jsonl";

struct RunOptions {
  std::string touchstone;                    ///< path of this program, for ${touchstone}
  std::string run_folder;                    ///< made; must not hold a run already
  std::optional<CollectorBinary> collector;  ///< nullopt: the embedded receiver stands in
  std::vector<Fault> faults;                 ///< besides the suite's own
  std::optional<uint64_t> seed;
  /// One line for each step and, while the load runs, each second.
  std::function<void(const std::string&)> progress;
};

struct RunOutcome {
  std::string folder;
  std::string subject_url;
  std::string subject_version;  ///< what /version said; empty when it says nothing
  int64_t requests = 0;
  std::vector<result::Sample> samples;  ///< completions that the suite wants shown
  int64_t load_duration_ns = 0;
  /// What the reader must know: the Collector died, the subject had to be killed, a fault came too
  /// late, a scrape failed.
  std::vector<std::string> notes;
  bool collector_died = false;
  bool subject_died = false;
  /// Every span that the Collector accepted had left it, by its own counters, before it was
  /// stopped; nullopt when that cannot be known.
  std::optional<bool> collector_drained;
};

/// Leaves no process and no port behind, whatever happens; files only in the run folder.
/// ERRORS: kUnavailable when a part does not start, kCancelled, kInvalidArgument, kIo.
Result<RunOutcome> run_suite(const Suite& suite, const RunOptions& options,
                             const Supervision& supervision);

}  // namespace touchstone::harness
