// The accounting of ledger against spans: every request and every request span in exactly one
// class. Spans come one by one, in any order. Borrows the ledger. Thread-compatible.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "conformance/profile/profile.h"
#include "records/ledger.h"
#include "telemetry/span.h"

namespace touchstone::conformance {

enum class RequestClass {
  kMatched,            ///< has the spans it owes
  kMissing,            ///< owes more spans than there are
  kUnsampled,          ///< its traceparent said not to record it
  kHungUpUnrecorded,   ///< its client hung up and the profile asks for no span
  kRefusedUnrecorded,  ///< refused, and the profile asks for no span
  kFailedUnrecorded    ///< failed, and the profile asks for no span
};
const char* to_string(RequestClass kind);

/// The closed range in which the sum of so many values lies.
struct SumRange {
  double least = 0;
  double most = 0;
  int64_t values = 0;
};

struct RequestMatch {
  const records::LedgerEntry* entry = nullptr;
  int64_t all = 1;    ///< spans of a request that is wholly recorded
  int64_t least = 0;  ///< spans it owes
  int64_t most = 0;   ///< spans it may have
  int64_t found = 0;  ///< distinct ones
  SpanId first;       ///< of them, by id
  SpanId last;
  /// By position in Profile::reconciliations: what its spans add to a counter.
  std::vector<SumRange> sums;
  double completion_tokens = 0;
  /// The server's clock minus the client's: what its spans leave open, each beginning after the
  /// request was sent and ending before the response was whole. See clock_offset.h.
  int64_t offset_least_ns = std::numeric_limits<int64_t>::min();
  int64_t offset_most_ns = std::numeric_limits<int64_t>::max();
  /// Request id (hashed) and prompt tokens, each pair once.
  std::vector<std::pair<uint64_t, double>> prompts;

  RequestClass kind() const;
  int64_t missing() const { return std::max<int64_t>(0, least - found); }
  int64_t surplus() const { return std::max<int64_t>(0, found - most); }
  void bound_offset(const telemetry::Span& span);
};

class Matching final {
 public:
  /// REQUIRES: profile.accounting.
  Matching(const std::vector<records::LedgerEntry>& ledger, const Profile& profile);

  /// Counts a request span that was not seen before with the request it belongs to; null: none.
  /// By trace and parent first; where a trace belongs to one request alone, whatever is in it; a
  /// request sent without traceparent starts its own trace, so only its id tells whose it is.
  RequestMatch* add(const telemetry::Span& span, std::optional<std::string_view> request_id);

  const std::vector<RequestMatch>& requests() const { return requests_; }  ///< in ledger order
  int64_t unexplained() const { return unexplained_; }                     ///< spans of no request

 private:
  RequestMatch* by_trace(const telemetry::Span& span);
  RequestMatch* by_request_id(std::string_view request_id);

  std::vector<RequestMatch> requests_;
  std::unordered_map<TraceId, std::vector<size_t>> of_trace_;
  std::unordered_map<std::string, size_t> of_id_;  // those sent without traceparent
  int64_t unexplained_ = 0;
};

/// Request spans that all of `ledger` may leave together; nullopt when the profile accounts for
/// none.
std::optional<int64_t> spans_at_most(const std::vector<records::LedgerEntry>& ledger,
                                     const Profile& profile);

/// True when the request came to the status that the workload expects, or else to a whole answer.
/// Whoever hangs up before the answer begins sees no status.
bool answered_as_expected(const records::LedgerEntry& entry);

/// For messages: "request 7 (name)".
std::string describe(const records::LedgerEntry& entry);

}  // namespace touchstone::conformance
