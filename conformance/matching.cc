#include "conformance/matching.h"

#include <map>
#include <set>

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

RequestClass classify(const RequestMatch& match) {
  if (match.missing() > 0) return RequestClass::kMissing;
  if (!match.spans.empty()) return RequestClass::kMatched;
  if (!match.entry->sampled) return RequestClass::kUnsampled;
  switch (match.entry->outcome) {
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

int64_t amount(AccountingRule::Amount rule, const records::LedgerEntry& entry) {
  return rule == AccountingRule::Amount::kChoices ? entry.choices : 0;
}

/// The distinct request spans that no request has taken yet.
class Pool {
 public:
  Pool(const SpanIndex& index, Matching& matching) : index_(index) {
    for (size_t i = 0; i < index.spans.size(); ++i) {
      const SpanView& view = index.spans[i];
      if (view.type == nullptr || !view.type->is_request) continue;
      ++matching.request_spans;
      if (index.by_id.at({view.span->trace_id, view.span->span_id}) == i) {
        free_.insert(i);
      } else {
        matching.duplicates.push_back(i);
      }
    }
  }

  template <typename Wanted>
  void take(const std::vector<size_t>& candidates, const Wanted& wanted,
            std::vector<size_t>& taken) {
    for (const size_t i : candidates) {
      if (free_.contains(i) && wanted(index_.spans[i])) {
        taken.push_back(i);
        free_.erase(i);
      }
    }
  }

  std::vector<size_t> rest() const { return {free_.begin(), free_.end()}; }

 private:
  const SpanIndex& index_;
  std::set<size_t> free_;
};

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

Matching match_ledger(const std::vector<records::LedgerEntry>& ledger, const SpanIndex& index,
                      const Profile& profile) {
  BASE_CHECK(profile.accounting.has_value());
  Matching matching;
  Pool pool(index, matching);
  std::map<TraceId, int64_t> entries_of_trace;
  for (const records::LedgerEntry& entry : ledger) {
    if (entry.trace_id.is_valid()) ++entries_of_trace[entry.trace_id];
    RequestMatch match;
    match.entry = &entry;
    const AccountingRule& rule = rule_of(*profile.accounting, entry);
    match.least = amount(rule.least, entry);
    match.most = amount(rule.most, entry);
    matching.requests.push_back(std::move(match));
  }
  // By trace and parent first; then, where a trace belongs to one request alone, whatever else is
  // in it: such a span is that request's, with a wrong parent.
  for (RequestMatch& match : matching.requests) {
    const auto trace = index.by_trace.find(match.entry->trace_id);
    if (!match.entry->trace_id.is_valid() || trace == index.by_trace.end()) continue;
    const bool alone = entries_of_trace[match.entry->trace_id] == 1;
    const auto wanted = [&](const SpanView& view) {
      return alone || view.span->parent_span_id == match.entry->span_id;
    };
    pool.take(trace->second, wanted, match.spans);
  }
  // A request sent without traceparent starts its own trace: only its id tells whose it is.
  std::vector<size_t> left = pool.rest();
  for (RequestMatch& match : matching.requests) {
    if (match.entry->trace_id.is_valid() || match.entry->response_id.empty()) continue;
    const auto wanted = [&](const SpanView& view) {
      const auto id = SpanIndex::text(view, profile, "request_id");
      return id &&
             (*id == match.entry->response_id || id->starts_with(match.entry->response_id + "-"));
    };
    pool.take(left, wanted, match.spans);
  }
  for (RequestMatch& match : matching.requests) match.kind = classify(match);
  matching.unexplained = pool.rest();
  return matching;
}

}  // namespace touchstone::conformance
