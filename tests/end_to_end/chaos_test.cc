// Kills at random moments: with a spool and a durable queue no answered request is without its
// span; without them what is lost is counted to the last one, and where.
#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "base/text.h"
#include "conformance/judge.h"
#include "tests/end_to_end/faulty_stack.h"

namespace touchstone::end_to_end {
namespace {

constexpr int kCollectorKills = TOUCHSTONE_CHAOS_COLLECTOR_KILLS;
constexpr int kEngineKills = TOUCHSTONE_CHAOS_ENGINE_KILLS;
/// The engine is up again within a second or two, and some requests must be answered between.
constexpr int kSeconds = 6 + kEngineKills * 4 + kCollectorKills;
constexpr int kRequestsPerSecond = 8;

std::vector<std::string> kills(uint64_t seed, bool of_the_engine) {
  const std::string last = std::to_string(kSeconds - 3) + "s";
  std::vector<std::string> flags = {
      "--seed", std::to_string(seed), "--fault",
      "restart:collector@500ms.." + last + "*" + std::to_string(kCollectorKills)};
  if (of_the_engine) {
    flags.insert(flags.end(),
                 {"--fault", "restart:subject@1s.." + last + "*" + std::to_string(kEngineKills)});
  }
  return flags;
}

TEST_F(FaultyStack, WithASpoolNoAnsweredRequestIsWithoutItsSpan) {
  const uint64_t seed = 20'261'125;
  std::printf("chaos: %d kills of the Collector, %d of the engine, --seed %llu\n", kCollectorKills,
              kEngineKills, static_cast<unsigned long long>(seed));
  const Ran ran = check(suite({.requests = kSeconds * kRequestsPerSecond,
                               .seconds = kSeconds,
                               .spool = true,
                               .durable = true,
                               .answered_share = 0.1}),
                        kills(seed, true));
  EXPECT_EQ(ran.code, 0) << ran.output << ran.errors;
  EXPECT_TRUE(losses().empty()) << ran.output;
  for (const char* prefix : {"span.", "completeness.", "request.id"}) {
    EXPECT_TRUE(findings(prefix).empty()) << "a span that came twice is told from a new one\n"
                                          << ran.output;
  }
  const int64_t answered = completed();
  EXPECT_GT(answered, kSeconds) << "most of the load was between the kills";
  EXPECT_GE(distinct_spans(), answered);
  std::printf("chaos: %lld answered, %lld spans, %lld of them delivered again\n",
              static_cast<long long>(answered), static_cast<long long>(distinct_spans()),
              static_cast<long long>(all_spans() - distinct_spans()));
  const std::string notes = report().at("notes").dump();
  size_t injected = 0;
  for (size_t at = 0; (at = notes.find("fault injected: restart", at)) != std::string::npos; ++at) {
    ++injected;
  }
  EXPECT_EQ(injected, static_cast<size_t>(kCollectorKills + kEngineKills)) << notes;
}

TEST_F(FaultyStack, WithoutOneTheLossIsExactByHop) {
  const uint64_t seed = 7;
  std::printf("chaos without a spool: --seed %llu\n", static_cast<unsigned long long>(seed));
  // Both hold what they have for a while, so that each kill costs something.
  const Ran ran = check(suite({.requests = kSeconds * kRequestsPerSecond,
                               .seconds = kSeconds,
                               .processors = {{"batch", "{timeout: 1s, send_batch_size: 100000}"}},
                               .schedule_delay_ms = "1000",
                               .answered_share = 0.1}),
                        kills(seed, true));
  EXPECT_EQ(ran.code, 1) << ran.output << ran.errors;
  const auto found = evidence();
  ASSERT_TRUE(found);
  // A request in flight when its engine died may have left a span and owes none.
  int64_t missing = 0;
  std::set<TraceId> there;
  for (const auto& batch : found->spans) {
    for (const auto& group : batch) {
      for (const auto& scope : group.scope_spans) {
        for (const auto& span : scope.spans) there.insert(span.trace_id);
      }
    }
  }
  for (const auto& entry : *found->ledger) {
    missing +=
        entry.outcome == records::ClientOutcome::kCompleted && !there.contains(entry.trace_id);
  }
  ASSERT_GT(missing, 0) << ran.output;
  auto rows = losses();
  EXPECT_EQ(rows["owed and missing"], missing) << ran.output;
  EXPECT_FALSE(rows.contains("nobody knows where")) << ran.output;
  rows.erase("owed and missing");
  int64_t sum = 0;
  for (const auto& [hop, count] : rows) sum += count;
  EXPECT_EQ(sum, missing) << ran.output;
  EXPECT_GT(rows["in the Collector: it ended, and its counters with it"], 0) << ran.output;
}

}  // namespace
}  // namespace touchstone::end_to_end
