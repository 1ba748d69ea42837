// The load generator: sends a workload's requests open loop, each at its intended time whatever
// the server does, and writes what the client saw into the ledger. Latencies are therefore free of
// coordinated omission: intended_ns stands in the ledger beside sent_unix_ns. One thread,
// Boost.Asio. Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "records/ledger.h"
#include "workload/workload.h"

namespace touchstone::harness {

/// Something to do in the middle of the load, e.g. a fault.
struct TimedAction {
  int64_t at_ns = 0;  ///< from the start of the load
  std::function<void()> run;
};

/// A descriptor to look at while the load runs, e.g. a child's exit_fd().
struct Watch {
  int descriptor = -1;
  /// Called once when it becomes readable; an error ends the load at once.
  std::function<Status()> readable;
};

struct LoadProgress {
  int64_t sent = 0;
  int64_t done = 0;
  int64_t total = 0;
  int64_t elapsed_ns = 0;
};

struct LoadOptions {
  std::string url;    ///< http://host:port
  std::string model;  ///< name in the bodies
  uint64_t seed = 0;  ///< of trace and span ids
  /// Of a million requests so many say in their traceparent that they are sampled.
  int64_t sampled_per_million = 1'000'000;
  std::string ledger_path;
  int64_t connections_max = 1024;           ///< requests beyond it wait, and their latency shows it
  int64_t timeout_ns = 120 * kNsPerSecond;  ///< of one request
  int64_t vocab_size = 1024;                ///< of prompts made for a trace without text
  /// Requests whose completion's text is kept, by name.
  std::set<std::string> samples;
  std::vector<TimedAction> actions;
  std::vector<Watch> watches;
  std::function<void(const LoadProgress&)> on_progress;  ///< about once a second; may be empty
};

struct LoadOutcome {
  std::vector<records::LedgerEntry> entries;  ///< by index
  int64_t start_unix_ns = 0;
  int64_t duration_ns = 0;
  int64_t actions_not_reached = 0;  ///< timed for later than the load's end
};

/// Returns when every request has ended. The ledger holds each request as soon as it has ended,
/// and is put in order of index at the end.
/// ERRORS: kInvalidArgument for the URL; kIo for the ledger or when the host cannot be resolved;
/// what a watch returned: requests in flight are then given up and recorded as failed.
Result<LoadOutcome> run_load(const workload::Workload& workload, const LoadOptions& options,
                             const Clock& clock);

}  // namespace touchstone::harness
