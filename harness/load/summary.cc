#include "harness/load/summary.h"

#include "base/clock.h"

namespace touchstone::harness {
LoadSummary summarize(const LoadOutcome& load) {
  LoadSummary summary;
  summary.duration_s = to_seconds(load.duration_ns);
  for (const records::LedgerEntry& entry : load.entries) {
    ++summary.outcomes[records::to_string(entry.outcome)];
    if (entry.outcome != records::ClientOutcome::kCompleted) continue;
    const int64_t late_ns = entry.sent_unix_ns - (load.start_unix_ns + entry.intended_ns);
    if (entry.usage) summary.output_tokens += entry.usage->completion_tokens;
    if (entry.first_chunk_ns) summary.ttft_s.push_back(to_seconds(late_ns + *entry.first_chunk_ns));
    summary.e2e_s.push_back(to_seconds(late_ns + entry.done_ns));
  }
  return summary;
}

}  // namespace touchstone::harness
