// What a ledger tells of the clocks of two hosts. A server's span begins after its request was sent
// and ends before the response was whole, so every request bounds the server's clock minus the
// client's by an interval; what all intervals share is the offset. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "conformance/matching.h"

namespace touchstone::conformance {

/// A closed interval for the server's clock minus the client's.
struct ClockOffset {
  int64_t least_ns = 0;
  int64_t most_ns = 0;
  int64_t requests = 0;  ///< whose spans it fits

  /// How far the request's spans lie outside of what its client saw, by these clocks: before the
  /// sending (negative), or after the whole response; 0: within.
  int64_t outside_ns(const RequestMatch& request) const;
};

/// By LedgerEntry::subject, for each server has its own clock: the offset that fits most of its
/// requests when intervals are widened by `slack_ns` at both ends. Requests without a span, without
/// times, or whose spans contradict each other say nothing; a subject of which all say nothing is
/// left out. O(n log n).
std::map<std::string, ClockOffset> clock_offsets(const Matching& matching, int64_t slack_ns);

/// "-1.2 ms to 0.4 ms, by 60 requests".
std::string to_string(const ClockOffset& offset);

}  // namespace touchstone::conformance
