#include "harness/load/summary.h"

#include <gtest/gtest.h>

namespace touchstone::harness {
namespace {

TEST(LoadSummary, LatencyCountsFromTheIntendedTimeOfSending) {
  LoadOutcome load;
  load.start_unix_ns = 1000 * kNsPerSecond;
  load.duration_ns = 4 * kNsPerSecond;
  records::LedgerEntry late;
  late.outcome = records::ClientOutcome::kCompleted;
  late.intended_ns = kNsPerSecond;
  late.sent_unix_ns = load.start_unix_ns + 3 * kNsPerSecond;
  late.first_chunk_ns = 100 * kNsPerMs;
  late.done_ns = 500 * kNsPerMs;
  late.usage = records::Usage{.prompt_tokens = 1, .completion_tokens = 8, .cached_tokens = {}};
  records::LedgerEntry refused;
  refused.outcome = records::ClientOutcome::kRefused;
  load.entries = {late, refused};
  const LoadSummary summary = summarize(load);
  EXPECT_EQ(summary.outcomes, (std::map<std::string, int64_t>{{"completed", 1}, {"refused", 1}}));
  ASSERT_EQ(summary.ttft_s.size(), 1u);
  EXPECT_DOUBLE_EQ(summary.ttft_s[0], 2.1) << "2 s late, 0.1 s to the first chunk";
  ASSERT_EQ(summary.e2e_s.size(), 1u) << "a refusal has no latency";
  EXPECT_DOUBLE_EQ(summary.e2e_s[0], 2.5);
  EXPECT_DOUBLE_EQ(summary.output_tokens_per_s(), 2);
  EXPECT_DOUBLE_EQ(LoadSummary().output_tokens_per_s(), 0);
}

}  // namespace
}  // namespace touchstone::harness
