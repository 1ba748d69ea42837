#include "harness/load/summary.h"

namespace touchstone::harness {
namespace {

double seconds(int64_t ns) { return static_cast<double>(ns) / static_cast<double>(kNsPerSecond); }

}  // namespace

LoadSummary summarize(const LoadOutcome& load) {
  LoadSummary summary;
  summary.duration_s = seconds(load.duration_ns);
  for (const records::LedgerEntry& entry : load.entries) {
    ++summary.outcomes[records::to_string(entry.outcome)];
    if (entry.outcome != records::ClientOutcome::kCompleted) continue;
    const int64_t late_ns = entry.sent_unix_ns - (load.start_unix_ns + entry.intended_ns);
    if (entry.usage) summary.output_tokens += entry.usage->completion_tokens;
    if (entry.first_chunk_ns) summary.ttft_s.push_back(seconds(late_ns + *entry.first_chunk_ns));
    summary.e2e_s.push_back(seconds(late_ns + entry.done_ns));
  }
  return summary;
}

}  // namespace touchstone::harness
