// A measured run of any server, as its clients saw it: server.json (flags), requests.jsonl (the
// ledger) and, where there is one, spans.otlp.jsonl of a run folder. Unknown keys are ignored:
// machines write these files.
// Values; thread-compatible.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "reference_engine/scheduler/config.h"
#include "workload/workload.h"

namespace touchstone::simulator {

/// What a client measured of one request that was completed.
struct MeasuredLatency {
  double ttft_s = 0;
  double e2e_s = 0;
  std::optional<double> tpot_s;  ///< with two output tokens or more
};

struct RunFolder {
  scheduler::Config config;     ///< flags of server.json; the rest at their defaults
  workload::Workload workload;  ///< what was sent and completed
  /// True: requests arrive when their spans start. False, when one has none: when they were sent.
  bool arrivals_from_spans = false;
  std::vector<MeasuredLatency> measured;  ///< of workload.requests, same order
  int64_t left_out = 0;                   ///< requests that were refused, failed or hung up
};

/// ERRORS: kNotFound, kIo, kMalformed and kInvalidArgument with file, line and field, kUnavailable
/// when no request was completed.
Result<RunFolder> read_run_folder(const std::string& folder);

}  // namespace touchstone::simulator
