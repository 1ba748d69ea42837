// Load on a server that runs already, recorded as a run folder: server.json, requests.jsonl,
// metrics_before.txt and metrics.txt. Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "harness/load/generator.h"
#include "harness/process/child.h"
#include "workload/workload.h"

namespace touchstone::harness {

struct RecordOptions {
  std::string url;
  std::string model;  ///< empty: the first that /v1/models lists
  uint64_t seed = 0;
  int64_t connections_max = 1024;
  int64_t timeout_ns = 120 * kNsPerSecond;
  int64_t vocab_size = 1024;
  std::string run_folder;
  std::string description;
  std::function<void(const std::string&)> progress;
};

struct RecordOutcome {
  std::string model;
  LoadOutcome load;
  std::vector<std::string> notes;  ///< what could not be had, e.g. the server's metrics
};

/// ERRORS: kInvalidArgument (URL, a folder that holds a run), kUnavailable when the server does not
/// answer, kIo, kCancelled.
Result<RecordOutcome> record_load(const workload::Workload& workload, const RecordOptions& options,
                                  const Supervision& supervision);

}  // namespace touchstone::harness
