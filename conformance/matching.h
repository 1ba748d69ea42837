// The accounting of ledger against spans: every request and every request span in exactly one
// class. Pure; borrows ledger and index. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "conformance/observed.h"
#include "conformance/profile/profile.h"
#include "records/ledger.h"

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

struct RequestMatch {
  const records::LedgerEntry* entry = nullptr;
  RequestClass kind = RequestClass::kMissing;
  std::vector<size_t> spans;  ///< distinct ones found, indexes into SpanIndex::spans
  int64_t least = 0;          ///< spans it owes
  int64_t most = 0;           ///< spans it may have
  int64_t missing() const {
    return std::max<int64_t>(0, least - static_cast<int64_t>(spans.size()));
  }
  int64_t surplus() const {
    return std::max<int64_t>(0, static_cast<int64_t>(spans.size()) - most);
  }
};

struct Matching {
  std::vector<RequestMatch> requests;  ///< in the ledger's order
  std::vector<size_t> duplicates;      ///< request spans whose id another span has too
  std::vector<size_t> unexplained;     ///< request spans of no request in the ledger
  int64_t request_spans = 0;           ///< all of them, duplicates included
};

/// REQUIRES: profile.accounting.
Matching match_ledger(const std::vector<records::LedgerEntry>& ledger, const SpanIndex& index,
                      const Profile& profile);

/// "request 17 (chat stream)": how findings name a request.
std::string describe(const records::LedgerEntry& entry);

}  // namespace touchstone::conformance
