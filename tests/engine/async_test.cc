// What asynchronous scheduling adds: a step is planned while the one before is computed. That
// everything else stays as it is, engine_test.cc shows.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "reference_engine/engine/engine.h"
#include "reference_engine/lifecycle/schedule_log.h"
#include "simulator/replay.h"
#include "tests/engine/engine_fixture.h"

namespace touchstone::engine {
namespace {

scheduler::Config ahead(scheduler::Config config) {
  config.async_scheduling = true;
  return config;
}

/// What a backend was asked for. Read it after the engine has ended.
struct Overlap {
  size_t most_in_flight = 0;
  int64_t tokens_in_flight = 0;    // plans that went on from a token in flight
  int64_t written_while_used = 0;  // blocks that a plan fills and another request's plan uses
};

/// The real backend; notes how plans overlap.
class WatchedBackend final : public ForwardingBackend {
 public:
  WatchedBackend(std::unique_ptr<backend::Backend> real, int32_t block_size, Overlap& overlap)
      : ForwardingBackend(std::move(real)), block_size_(block_size), overlap_(overlap) {}

  Status submit(const backend::Plan& plan) override {
    std::map<backend::BlockId, std::set<backend::RequestId>> users;
    for (const backend::Entry& entry : plan.entries) {
      overlap_.tokens_in_flight += entry.tokens.back() == backend::kTokenInFlight ? 1 : 0;
      const size_t first_written = static_cast<size_t>(entry.first_position / block_size_);
      for (size_t i = 0; i < entry.block_table.size(); ++i) {
        users[entry.block_table[i]].insert(entry.request_id);
        if (i >= first_written) note_if_used(entry.block_table[i], entry.request_id);
      }
    }
    in_flight_.push_back(std::move(users));
    overlap_.most_in_flight = std::max(overlap_.most_in_flight, in_flight_.size());
    return ForwardingBackend::submit(plan);
  }
  Status wait(backend::Outputs& outputs) override {
    in_flight_.pop_front();
    return ForwardingBackend::wait(outputs);
  }

 private:
  void note_if_used(backend::BlockId block, backend::RequestId id) {
    for (const auto& users : in_flight_) {
      const auto found = users.find(block);
      if (found == users.end()) continue;
      overlap_.written_while_used +=
          std::ranges::any_of(found->second, [id](backend::RequestId user) { return user != id; });
    }
  }

  const int32_t block_size_;
  Overlap& overlap_;
  std::deque<std::map<backend::BlockId, std::set<backend::RequestId>>> in_flight_;
};

std::unique_ptr<backend::Backend> watched(const scheduler::Config& config, Overlap& overlap) {
  return std::make_unique<WatchedBackend>(capture_backend(config), config.block_size, overlap);
}

void expect_parity(const KeepingObserver& seen, const scheduler::Config& config) {
  const records::StepLog log{lifecycle::header_of(config, "monotonic"), seen.steps};
  const auto replay = simulator::replay_step_log(log, seen.records);
  ASSERT_TRUE(replay.has_value()) << replay.error().message;
  if (replay->difference) {
    FAIL() << "step " << replay->difference->step << ": " << replay->difference->what << ": logged "
           << replay->difference->before << ", replayed " << replay->difference->after;
  }
  std::vector<std::string> logged;
  for (const records::StepRecord& step : seen.steps) {
    if (!step.requests.empty()) logged.push_back(to_json_line(step));
  }
  ASSERT_EQ(replay->steps.size(), logged.size());
  for (size_t i = 0; i < logged.size(); ++i) EXPECT_EQ(to_json_line(replay->steps[i]), logged[i]);
}

TEST(EngineAsync, PlansAStepWhileTheOneBeforeIsInFlight) {
  Overlap overlap;
  {
    EngineUnderTest engine({.scheduler = roomy_config()}, watched(roomy_config(), overlap));
    engine.run(greedy(kQuestion, 20));
    engine.end();
    EXPECT_EQ(overlap.most_in_flight, 1u);
    EXPECT_EQ(overlap.tokens_in_flight, 0);
  }
  const scheduler::Config config = ahead(roomy_config());
  EngineUnderTest engine({.scheduler = config}, watched(config, overlap));
  engine.run(greedy(kQuestion, 20));
  const KeepingObserver& seen = engine.end();
  EXPECT_EQ(overlap.most_in_flight, 2u);
  EXPECT_EQ(overlap.tokens_in_flight, 19) << "each token but the first";
  ASSERT_EQ(seen.steps.size(), 20u) << "no step is wasted: the last token was foreseen";
  for (size_t i = 1; i < seen.steps.size(); ++i) {
    const records::StepRecord& before = seen.steps[i - 1];
    EXPECT_LT(seen.steps[i].planned_ns, before.start_ns + before.duration_ns);
    EXPECT_EQ(seen.steps[i].start_ns, before.start_ns + before.duration_ns);
  }
}

/// INV-9 and INV-11: preemptions, shared prefixes, stop strings and hang-ups at any time.
TEST(EngineAsync, ReplayOfItsStepLogGivesItsScheduleAndNoBlockInFlightIsWritten) {
  const scheduler::Config config = ahead(tight_config());
  Overlap overlap;
  EngineUnderTest engine({.scheduler = config}, watched(config, overlap));
  std::vector<EngineUnderTest::Started> started;
  for (int round = 0; round < 3; ++round) {
    for (Submission& request : mixed_requests()) {
      if (round == 1) request.stop = {"e", "s "};
      if (round == 2) request.n = request.sampling.temperature > 0 ? 3 : 1;
      started.push_back(engine.start(request));
    }
    for (size_t i = 0; i < started.size(); i += 4) {
      started[i].sink->wait_for_outputs(1 + i % 5);
      engine.engine().abort(started[i].ticket);
    }
  }
  const KeepingObserver& seen = engine.end();
  std::map<records::Outcome, int> outcomes;
  int64_t preemptions = 0;
  int64_t cached = 0;
  for (const records::RequestRecord& record : seen.records) {
    ++outcomes[record.outcome];
    preemptions += record.preemptions;
    cached += record.cached_tokens;
  }
  EXPECT_GT(outcomes[records::Outcome::kStop], 0);
  EXPECT_GT(outcomes[records::Outcome::kLength], 0);
  EXPECT_GT(outcomes[records::Outcome::kAbort], 0);
  EXPECT_GT(preemptions, 0);
  EXPECT_GT(cached, 0);
  EXPECT_GT(overlap.tokens_in_flight, 0);
  EXPECT_EQ(overlap.written_while_used, 0);
  expect_parity(seen, config);
}

TEST(EngineAsync, ATokenInFlightWhenAStopIsFoundIsDropped) {
  const scheduler::Config config = ahead(roomy_config());
  EngineUnderTest engine({.scheduler = config});
  const Spoken whole = engine.run(greedy(kQuestion, 40))[0];
  Submission request = greedy(kQuestion, 40);
  request.stop = {whole.text.substr(8, 5)};
  const Spoken stopped = engine.run(request)[0];
  EXPECT_EQ(stopped.finish_reason, "stop");
  EXPECT_EQ(stopped.text, whole.text.substr(0, whole.text.find(request.stop[0])));
  const KeepingObserver& seen = engine.end();
  const records::RequestRecord& record = seen.records[1];
  EXPECT_EQ(record.completion_tokens, static_cast<int64_t>(stopped.token_ids.size()));
  // Nobody could foresee the stop, so one more step was under way.
  const auto last = seen.steps.end() - 1;
  ASSERT_EQ(last->requests.size(), 1u);
  EXPECT_EQ(last->requests[0].id, record.id);
  EXPECT_TRUE(last->finished.empty());
  ASSERT_EQ((last - 1)->finished.size(), 1u);
  EXPECT_EQ((last - 1)->finished[0].id, record.id);
  EXPECT_EQ(record.last_token_ns, (last - 1)->start_ns + (last - 1)->duration_ns);
  int64_t generated = 0;
  for (const records::StepStats& stats : seen.stats) generated += stats.generation_tokens;
  EXPECT_EQ(generated, seen.records[0].completion_tokens + record.completion_tokens);
  EXPECT_EQ(seen.stats.back().kv_cache_usage, 0);
  expect_parity(seen, config);
}

TEST(EngineAsync, WhoeverHangsUpWithAStepInFlightGetsNothingMore) {
  const scheduler::Config config = ahead(roomy_config());
  EngineUnderTest engine({.scheduler = config});
  const auto gone = engine.start(greedy(kQuestion, 200));
  gone.sink->wait_for_outputs(3);
  engine.engine().abort(gone.ticket);
  const KeepingObserver& seen = engine.end();
  ASSERT_EQ(seen.records.size(), 1u);
  EXPECT_EQ(seen.records[0].outcome, records::Outcome::kAbort);
  EXPECT_EQ(seen.records[0].completion_tokens, static_cast<int64_t>(gone.sink->num_outputs()));
  int64_t sampled = 0;
  for (const records::StepRecord& step : seen.steps) sampled += std::ssize(step.requests);
  EXPECT_EQ(sampled, seen.records[0].completion_tokens + 1) << "one was in flight";
  EXPECT_EQ(seen.stats.back().running, 0);
  EXPECT_EQ(seen.stats.back().kv_cache_usage, 0);
  expect_parity(seen, config);
}

}  // namespace
}  // namespace touchstone::engine
