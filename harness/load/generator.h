// The load generator: sends the requests of one or more workloads, each to its server, and writes
// what the client saw into the ledger. Open loop, unless a target says how many clients it has: at
// their intended times whatever the servers do. Latencies are therefore free of coordinated
// omission: intended_ns stands in the ledger beside sent_unix_ns. One thread, Boost.Asio.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/access.h"
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

/// Clients that are not as one would wish, so many of a million, drawn by the target's seed.
struct ClientManners {
  int64_t slow_per_million = 0;
  int64_t read_pause_ns = 100 * kNsPerMs;   ///< of the slow ones, before each further read
  int64_t vanish_per_million = 0;           ///< close their connection before the answer is whole
  int64_t vanish_within_ns = kNsPerSecond;  ///< of sending, at a moment drawn uniformly
};

/// One server, and what is sent to it.
struct LoadTarget {
  std::string name;                              ///< `subject` in the ledger; empty: the only one
  std::string url;                               ///< http[s]://host:port[/path]
  http::Access access;                           ///< keys, trust
  std::string model;                             ///< name in the bodies
  const workload::Workload* workload = nullptr;  ///< never null, outlives the load
  uint64_t seed = 0;                             ///< of trace and span ids
  /// Of a million requests so many say in their traceparent that they are sampled.
  int64_t sampled_per_million = 1'000'000;
  int64_t timeout_ns = 120 * kNsPerSecond;  ///< of one request
  /// Closed loop: so many clients, each of which sends the workload's next request when it has the
  /// answer to its last; arrival times do not count. nullopt: open loop.
  std::optional<int64_t> clients;
  ClientManners manners;
  std::set<std::string> samples;  ///< requests whose completion's text is kept, by name
};

struct LoadOptions {
  std::string ledger_path;
  int64_t connections_max = 1024;    ///< requests beyond it wait, and their latency shows it
  int64_t vocab_size = 1024;         ///< of prompts made for a trace without text
  std::vector<TimedAction> actions;  ///< by time
  std::vector<Watch> watches;
  std::function<void(const LoadProgress&)> on_progress;  ///< about once a second; may be empty
};

/// Where an entry of the outcome came from.
struct SentRequest {
  const LoadTarget* target = nullptr;
  const workload::Request* request = nullptr;
};

struct LoadOutcome {
  /// By index: in order of intended time, which in a closed loop is when it was sent.
  std::vector<records::LedgerEntry> entries;
  std::vector<SentRequest> sent;  ///< of each entry
  int64_t start_unix_ns = 0;
  int64_t duration_ns = 0;
  int64_t actions_not_reached = 0;  ///< timed for later than the load's end
};

/// Returns when every request has ended. The ledger holds each request as soon as it has ended,
/// and is put in order of index at the end.
/// ERRORS: kInvalidArgument for a URL or CA file; kIo for the ledger or an unknown host;
/// what a watch returned: requests in flight are then given up and recorded as failed.
Result<LoadOutcome> run_load(const std::vector<LoadTarget>& targets, const LoadOptions& options,
                             const Clock& clock);

}  // namespace touchstone::harness
