#include "harness/load/planned.h"

#include <string>

#include "base/random_ids.h"
#include "harness/load/exchange.h"

namespace touchstone::harness {
namespace {

constexpr int64_t kPerMillion = 1'000'000;

/// "load.trace_ids" of the first target, "load.trace_ids.1" of the second: equal seeds must not
/// give equal ids twice.
std::string stream_name(const std::string& what, size_t target) {
  return "load." + what + (target == 0 ? "" : "." + std::to_string(target));
}

}  // namespace

std::vector<records::LedgerEntry> planned_entries(const LoadTarget& target, size_t number) {
  RandomStream traces(target.seed, stream_name("trace_ids", number));
  RandomStream spans(target.seed, stream_name("span_ids", number));
  RandomStream samples(target.seed, stream_name("sampled", number));
  std::vector<records::LedgerEntry> entries;
  for (const workload::Request& request : target.workload->requests) {
    records::LedgerEntry& entry = entries.emplace_back(entry_for(request, 0, target.model));
    entry.subject = target.name;
    entry.trace_id = draw_id<TraceId>(traces);
    entry.span_id = draw_id<SpanId>(spans);
    entry.sampled = samples.between(1, kPerMillion) <= target.sampled_per_million;
  }
  return entries;
}

std::vector<ClientManner> planned_manners(const LoadTarget& target, size_t number) {
  const ClientManners& manners = target.manners;
  RandomStream slow(target.seed, stream_name("slow", number));
  RandomStream vanishing(target.seed, stream_name("vanishing", number));
  std::vector<ClientManner> planned(target.workload->requests.size());
  for (ClientManner& manner : planned) {
    if (slow.between(1, kPerMillion) <= manners.slow_per_million) {
      manner.read_pause_ns = manners.read_pause_ns;
    }
    const int64_t leaves = vanishing.between(1, manners.vanish_within_ns);
    if (vanishing.between(1, kPerMillion) <= manners.vanish_per_million) {
      manner.leaves_after_ns = leaves;
    }
  }
  return planned;
}

std::vector<records::LedgerEntry> expected_ledger(const LoadTarget& target, size_t number) {
  std::vector<records::LedgerEntry> entries = planned_entries(target, number);
  for (size_t i = 0; i < entries.size(); ++i) {
    const workload::Request& request = target.workload->requests[i];
    entries[i].outcome = request.hang_up_after_chunks ? records::ClientOutcome::kHungUp
                                                      : outcome_of(request.expect_status);
  }
  return entries;
}

}  // namespace touchstone::harness
