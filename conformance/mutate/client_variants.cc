// Ledgers of other load generators, and requests that owe nothing.
#include "conformance/mutate/variant.h"

namespace touchstone::conformance::mutate {
namespace {

using records::ClientOutcome;
using records::LedgerEntry;

/// One more request of the kind of the last, with ids of its own.
LedgerEntry another(const Evidence& evidence, ClientOutcome outcome, int64_t status) {
  LedgerEntry entry;
  entry.index = static_cast<int64_t>(evidence.ledger->size()) + 1000;
  entry.sent_unix_ns = evidence.ledger->back().sent_unix_ns;
  entry.trace_id = evidence.ledger->back().trace_id;
  entry.trace_id.bytes[5] ^= 0xFF;
  entry.span_id = evidence.ledger->back().span_id;
  entry.outcome = outcome;
  entry.status = status;
  entry.expect_status = status;
  entry.done_ns = 1000;
  return entry;
}

/// False where some profile asks for a span of such a request.
bool owes_nothing(const Good& good, AccountingRule Accounting::*rule) {
  for (const Profile& profile : good.profiles()) {
    if (!profile.accounting) continue;
    if ((*profile.accounting.*rule).least != AccountingRule::Amount::kNone) return false;
  }
  return true;
}

bool hung_up(const Good& good, Evidence& evidence) {
  if (!owes_nothing(good, &Accounting::hung_up)) return false;
  evidence.ledger->push_back(another(evidence, ClientOutcome::kHungUp, 200));
  return true;
}
bool refused(const Good& good, Evidence& evidence) {
  if (!owes_nothing(good, &Accounting::refused)) return false;
  evidence.ledger->push_back(another(evidence, ClientOutcome::kRefused, 400));
  return true;
}
bool unsampled(const Good& good, Evidence& evidence) {
  if (!owes_nothing(good, &Accounting::unsampled)) return false;
  LedgerEntry entry = another(evidence, ClientOutcome::kCompleted, 200);
  entry.sampled = false;
  evidence.ledger->push_back(entry);
  return true;
}

/// Only what any load generator knows.
bool bare(const Good&, Evidence& evidence) {
  for (LedgerEntry& entry : *evidence.ledger) {
    entry.name.clear();
    if (entry.trace_id.is_valid()) entry.response_id.clear();  // else the only sign of its span
    entry.parameters = {};
    entry.finish_reasons.clear();
    entry.usage.reset();
    entry.first_chunk_ns.reset();
    entry.chunk_offsets_ns.clear();
  }
  return true;
}

bool without_times(const Good&, Evidence& evidence) {
  for (LedgerEntry& entry : *evidence.ledger) entry.sent_unix_ns = entry.done_ns = 0;
  return true;
}

bool of_two_servers(const Good&, Evidence& evidence) {
  for (LedgerEntry& entry : *evidence.ledger) {
    entry.subject = entry.index % 2 == 0 ? "stable" : "canary";
  }
  return true;
}

constexpr VariantRow kRows[] = {
    {"client.hung_up", "one more request that was hung up, without a span", hung_up,
     only(Mode::kLedger)},
    {"client.refused", "one more request that was refused, without a span", refused, kWithLedger},
    {"client.unsampled", "one more request that was not to be recorded", unsampled,
     only(Mode::kLedger)},
    {"client.bare", "a ledger with ids, outcomes and times alone", bare, kWithLedger},
    {"client.no_times", "a ledger without times", without_times, kWithLedger},
    {"client.two_servers", "requests to two servers", of_two_servers, kWithLedger}};

}  // namespace

VariantTable client_variants() { return kRows; }

}  // namespace touchstone::conformance::mutate
