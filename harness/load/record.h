// Load on a server that runs already, recorded as a run folder: server description, ledger, metrics
// before and after. Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "harness/load/generator.h"
#include "harness/process/child.h"
#include "records/run_folder.h"
#include "workload/workload.h"

namespace touchstone::harness {

struct RecordOptions {
  std::string url;  ///< with or without /v1
  http::Access access;
  std::string model;  ///< empty: the first that /v1/models lists
  uint64_t seed = 0;
  int64_t connections_max = 1024;
  int64_t sampled_per_million = 1'000'000;  ///< requests whose traceparent says sampled
  std::optional<int64_t> clients;           ///< closed loop of so many
  ClientManners manners;
  int64_t timeout_ns = 120 * kNsPerSecond;
  int64_t vocab_size = 1024;
  std::string description;
  std::function<void(const std::string&)> progress;
};

struct RecordOutcome {
  std::string model;
  LoadOutcome load;
};

/// What could not be had, e.g. the server's metrics, is a note in the folder's manifest. The folder
/// is finished. ERRORS: kInvalidArgument for the URL, kUnavailable when the server does not answer,
/// kIo, kCancelled.
Result<RecordOutcome> record_load(const workload::Workload& workload, const RecordOptions& options,
                                  records::RunFolderWriter& folder, const Supervision& supervision);

}  // namespace touchstone::harness
