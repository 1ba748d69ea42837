#include "conformance/matching.h"

#include "base/check.h"

namespace touchstone::conformance {
namespace {

const AccountingRule& rule_of(const Accounting& accounting, const records::LedgerEntry& entry) {
  if (!entry.sampled) return accounting.unsampled;
  switch (entry.outcome) {
    case records::ClientOutcome::kCompleted:
      return accounting.completed;
    case records::ClientOutcome::kHungUp:
      return accounting.hung_up;
    case records::ClientOutcome::kRefused:
      return accounting.refused;
    case records::ClientOutcome::kFailed:
      return accounting.failed;
  }
  return accounting.failed;
}

int64_t spans_of(AccountingRule::Amount amount, int64_t all) {
  switch (amount) {
    case AccountingRule::Amount::kNone:
      return 0;
    case AccountingRule::Amount::kOne:
      return 1;
    case AccountingRule::Amount::kAll:
      return all;
  }
  return all;
}

}  // namespace

const char* to_string(RequestClass kind) {
  switch (kind) {
    case RequestClass::kMatched:
      return "matched";
    case RequestClass::kMissing:
      return "missing";
    case RequestClass::kUnsampled:
      return "unsampled";
    case RequestClass::kHungUpUnrecorded:
      return "hung up, unrecorded";
    case RequestClass::kRefusedUnrecorded:
      return "refused, unrecorded";
    case RequestClass::kFailedUnrecorded:
      return "failed, unrecorded";
  }
  return "missing";
}

std::string describe(const records::LedgerEntry& entry) {
  std::string text = "request " + std::to_string(entry.index);
  if (!entry.name.empty()) text += " (" + entry.name + ")";
  return text;
}

bool answered_as_expected(const records::LedgerEntry& entry) {
  using records::ClientOutcome;
  if (entry.outcome == ClientOutcome::kHungUp && entry.status == 0) return true;
  if (entry.expect_status) {
    return entry.status == *entry.expect_status && entry.outcome != ClientOutcome::kFailed;
  }
  return entry.outcome == ClientOutcome::kCompleted || entry.outcome == ClientOutcome::kHungUp;
}

RequestClass RequestMatch::kind() const {
  if (missing() > 0) return RequestClass::kMissing;
  if (found > 0) return RequestClass::kMatched;
  if (!entry->sampled) return RequestClass::kUnsampled;
  switch (entry->outcome) {
    case records::ClientOutcome::kHungUp:
      return RequestClass::kHungUpUnrecorded;
    case records::ClientOutcome::kRefused:
      return RequestClass::kRefusedUnrecorded;
    case records::ClientOutcome::kFailed:
      return RequestClass::kFailedUnrecorded;
    case records::ClientOutcome::kCompleted:
      return RequestClass::kMatched;  // a completed request that owes nothing
  }
  return RequestClass::kMissing;
}

void RequestMatch::bound_offset(const telemetry::Span& span) {
  if (entry->sent_unix_ns == 0) return;
  offset_most_ns = std::min(offset_most_ns, span.start_unix_ns - entry->sent_unix_ns);
  // A server may go on after its client hung up, so only whole responses bound the end.
  if (entry->outcome != records::ClientOutcome::kCompleted || entry->done_ns <= 0) return;
  const int64_t done_unix_ns = entry->sent_unix_ns + entry->done_ns;
  offset_least_ns = std::max(offset_least_ns, span.end_unix_ns - done_unix_ns);
}

Matching::Matching(const std::vector<records::LedgerEntry>& ledger, const Profile& profile) {
  BASE_CHECK(profile.accounting.has_value());
  requests_.reserve(ledger.size());
  for (const records::LedgerEntry& entry : ledger) {
    RequestMatch match;
    match.entry = &entry;
    // Whoever asks for no choice, which is refused, is a request all the same.
    const bool per_choice = profile.accounting->per == Accounting::Per::kChoice;
    match.all = per_choice ? std::max<int64_t>(1, entry.choices) : 1;
    const AccountingRule& rule = rule_of(*profile.accounting, entry);
    match.least = spans_of(rule.least, match.all);
    match.most = spans_of(rule.most, match.all);
    match.sums.resize(profile.reconciliations.size());
    if (entry.trace_id.is_valid()) {
      of_trace_[entry.trace_id].push_back(requests_.size());
    } else if (!entry.response_id.empty()) {
      of_id_.try_emplace(entry.response_id, requests_.size());
    }
    requests_.push_back(std::move(match));
  }
}

RequestMatch* Matching::by_trace(const telemetry::Span& span) {
  const auto found = of_trace_.find(span.trace_id);
  if (found == of_trace_.end()) return nullptr;
  const std::vector<size_t>& candidates = found->second;
  if (candidates.size() == 1) return &requests_[candidates[0]];
  for (const size_t i : candidates) {
    if (requests_[i].entry->span_id == span.parent_span_id) return &requests_[i];
  }
  return nullptr;
}

/// The server adds "-<prompt>" to the id that the client sees.
RequestMatch* Matching::by_request_id(std::string_view request_id) {
  for (size_t length = request_id.size();;) {
    const auto found = of_id_.find(std::string(request_id.substr(0, length)));
    if (found != of_id_.end()) return &requests_[found->second];
    const size_t dash = length == 0 ? std::string_view::npos : request_id.rfind('-', length - 1);
    if (dash == std::string_view::npos) return nullptr;
    length = dash;
  }
}

RequestMatch* Matching::add(const telemetry::Span& span,
                            std::optional<std::string_view> request_id) {
  RequestMatch* match = by_trace(span);
  if (match == nullptr && request_id && !of_id_.empty()) match = by_request_id(*request_id);
  if (match == nullptr) {
    ++unexplained_;
    return nullptr;
  }
  match->first = match->found == 0 ? span.span_id : std::min(match->first, span.span_id);
  match->last = match->found == 0 ? span.span_id : std::max(match->last, span.span_id);
  ++match->found;
  match->bound_offset(span);
  return match;
}

std::optional<int64_t> spans_at_most(const std::vector<records::LedgerEntry>& ledger,
                                     const Profile& profile) {
  if (!profile.accounting) return std::nullopt;
  int64_t most = 0;
  const Matching matching(ledger, profile);
  for (const RequestMatch& match : matching.requests()) most += match.most;
  return most;
}

}  // namespace touchstone::conformance
