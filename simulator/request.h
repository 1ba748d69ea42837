// What goes into a simulation and what comes out of it, one completion at a time. Values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "records/request_record.h"
#include "reference_engine/scheduler/types.h"

namespace touchstone::simulator {

/// What virtual time 0 is called where a date is asked for: 2026-01-01T00:00:00Z.
inline constexpr int64_t kEpochUnixNs = 1'767'225'600'000'000'000;
/// The last instant of virtual time: its date still fits into 64 bits (236 years).
inline constexpr int64_t kLatestNs = INT64_MAX - kEpochUnixNs;

/// The model's name where one is asked for.
inline constexpr char kSimulatedModel[] = "simulated";

/// One completion (a choice) that will arrive.
struct SimulatedRequest {
  std::string name;
  /// With id and arrival_ns. max_tokens is the number of tokens it will make; no stop tokens.
  scheduler::NewRequest request;
  /// What ends it after max_tokens tokens; kAbort: its client hangs up there.
  records::Outcome outcome = records::Outcome::kLength;
  /// Its client hangs up at this time if it is still there.
  std::optional<int64_t> abort_ns;
  uint64_t session = 0;  ///< equal within a session; 0: none
  std::string adapter;   ///< on top of the model; empty: none
  // Set by the simulation of a fleet that prefills and decodes apart.
  bool prefill_only = false;                 ///< its first token ends it here
  std::optional<int32_t> prefilled_by = {};  ///< the replica that computed its prompt
};

/// Gives requests in the order of arrival, one after the other, so that a long workload need not
/// be in memory. What follows from the end of another request, as in a closed loop or a session,
/// is given by on_end() instead. Thread-compatible.
class RequestSource {
 public:
  virtual ~RequestSource() = default;
  /// False when there are no more; `request` is then unspecified.
  /// ERRORS: kInvalidArgument naming the request that cannot be simulated.
  virtual Result<bool> next(SimulatedRequest& request) = 0;
  /// Request `id` is over, whatever its outcome. Appends the requests that follow from it, none of
  /// which arrives before `time_ns`. ERRORS: as next().
  virtual Status on_end(scheduler::RequestId id, int64_t time_ns,
                        std::vector<SimulatedRequest>& follow_ups) {
    (void)id, (void)time_ns, (void)follow_ups;
    return {};
  }
};

}  // namespace touchstone::simulator
