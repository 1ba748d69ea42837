// Constraints on answers: choices wait until theirs is ready, and nobody else does.
#include "reference_engine/engine/constraint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/clock.h"
#include "tests/engine/engine_fixture.h"

namespace touchstone::engine {
namespace {

/// Tokens 40, 41, 42, … in turn and no others; keeps what it was told.
class Counting final : public TokenConstraint {
 public:
  void fill(std::span<int32_t> words) override {
    std::ranges::fill(words, 0);
    words[static_cast<size_t>(next_ / 32)] = static_cast<int32_t>(1U << (next_ % 32));
  }
  bool accept(int32_t token) override { return token == next_++; }

 private:
  int32_t next_ = 40;
};

class Source final : public ConstraintSource {
 public:
  explicit Source(State state) : state_(state) {}
  State state() const override { return state_.load(); }
  std::string failure() const override { return "no such grammar"; }
  std::unique_ptr<TokenConstraint> make() const override { return std::make_unique<Counting>(); }
  void set(State state) { state_.store(state); }

 private:
  std::atomic<State> state_;
};

/// Leaves no token after `last`, or takes `fill_ns` for each.
class Awkward final : public TokenConstraint {
 public:
  Awkward(int32_t last, int64_t fill_ns) : last_(last), fill_ns_(fill_ns) {}
  void fill(std::span<int32_t> words) override {
    const RealClock clock;
    const int64_t end_ns = clock.monotonic_ns() + fill_ns_;
    while (clock.monotonic_ns() < end_ns) std::this_thread::yield();
    std::ranges::fill(words, at_ == last_ ? 0 : -1);
    ++at_;
  }
  bool accept(int32_t) override { return true; }

 private:
  const int32_t last_;
  const int64_t fill_ns_;
  int32_t at_ = 0;
};

class AwkwardSource final : public ConstraintSource {
 public:
  AwkwardSource(int32_t last, int64_t fill_ns) : last_(last), fill_ns_(fill_ns) {}
  State state() const override { return State::kReady; }
  std::string failure() const override { return ""; }
  std::unique_ptr<TokenConstraint> make() const override {
    return std::make_unique<Awkward>(last_, fill_ns_);
  }

 private:
  const int32_t last_;
  const int64_t fill_ns_;
};

using State = ConstraintSource::State;

class Constraints : public ::testing::TestWithParam<bool> {
 protected:
  static EngineOptions options() {
    EngineOptions made{.scheduler = roomy_config()};
    made.scheduler.async_scheduling = GetParam();
    return made;
  }
  static Submission bound(std::shared_ptr<Source> source, int32_t tokens = 6) {
    Submission request = greedy(kQuestion, tokens);
    request.ignore_eos = true;
    request.constraint = std::move(source);
    return request;
  }
};

INSTANTIATE_TEST_SUITE_P(Scheduling, Constraints, ::testing::Bool(), [](const auto& tested) {
  return tested.param ? "Asynchronous" : "StepByStep";
});

TEST_P(Constraints, ABoundChoiceSaysWhatItMayBesideFreeOnes) {
  EngineUnderTest engine(options());
  const std::vector<Spoken> alone = engine.run(greedy(kQuestion, 12));
  std::vector<EngineUnderTest::Started> started;
  for (int i = 0; i < 6; ++i) {
    started.push_back(engine.start(i % 2 == 0 ? greedy(kQuestion, 12)
                                              : bound(std::make_shared<Source>(State::kReady))));
  }
  for (size_t i = 0; i < started.size(); ++i) {
    const std::vector<Spoken> spoken = started[i].sink->wait();
    if (i % 2 == 0) {
      EXPECT_EQ(spoken[0].token_ids, alone[0].token_ids);
    } else {
      EXPECT_EQ(spoken[0].token_ids, (std::vector<int32_t>{40, 41, 42, 43, 44, 45}));
    }
  }
}

TEST_P(Constraints, WhatIsNotReadyWaitsAndHoldsUpNobody) {
  EngineUnderTest engine(options());
  const auto source = std::make_shared<Source>(State::kPending);
  const auto waiting = engine.start(bound(source));
  EXPECT_EQ(engine.run(greedy(kQuestion, 4))[0].token_ids.size(), 4u);
  EXPECT_EQ(waiting.sink->num_outputs(), 0u);
  source->set(State::kReady);
  engine.engine().wake();
  EXPECT_EQ(waiting.sink->wait()[0].token_ids.front(), 40);
  const KeepingObserver& told = engine.end();
  EXPECT_TRUE(std::ranges::any_of(told.stats,
                                  [](const auto& stats) { return stats.waiting_deferred == 1; }));
}

TEST_P(Constraints, FailureIsToldToItsOwnClient) {
  EngineUnderTest engine(options());
  const auto source = std::make_shared<Source>(State::kPending);
  const auto failing = engine.start(bound(source));
  source->set(State::kFailed);
  engine.engine().wake();
  (void)failing.sink->wait();
  EXPECT_EQ(failing.sink->failure(), "no such grammar");
  EXPECT_EQ(engine.run(greedy(kQuestion, 4))[0].token_ids.size(), 4u);
  EXPECT_EQ(engine.end().records.size(), 2u);
}

TEST_P(Constraints, RulesThatLeaveNoTokenFailTheirOwnAnswer) {
  EngineUnderTest engine(options());
  Submission request = greedy(kQuestion, 20);
  request.ignore_eos = true;
  request.constraint = std::make_shared<AwkwardSource>(3, 0);
  const auto failing = engine.start(request);
  (void)failing.sink->wait();
  EXPECT_EQ(failing.sink->failure(),
            "The structured output's rules leave no token that may come next");
  EXPECT_EQ(engine.run(greedy(kQuestion, 4))[0].token_ids.size(), 4u);
}

TEST_P(Constraints, RulesThatTakeTooLongFailTheirOwnAnswer) {
  EngineUnderTest engine(options());
  Submission request = greedy(kQuestion, 150);
  request.ignore_eos = true;
  request.constraint = std::make_shared<AwkwardSource>(-1, 600 * kNsPerMs);
  const auto failing = engine.start(request);
  EXPECT_LE(failing.sink->wait()[0].token_ids.size(), 5u);
  EXPECT_EQ(failing.sink->failure(), "The structured output's rules take too long to follow");
  EXPECT_EQ(engine.run(greedy(kQuestion, 4))[0].token_ids.size(), 4u);
}

TEST_P(Constraints, OneThatWaitsMayBeAbortedAndDoesNotHoldUpTheEnd) {
  EngineUnderTest engine(options());
  const auto gone = engine.start(bound(std::make_shared<Source>(State::kPending)));
  const auto left = engine.start(bound(std::make_shared<Source>(State::kPending)));
  engine.engine().abort(gone.ticket);
  const KeepingObserver& told = engine.end();
  ASSERT_EQ(told.records.size(), 2u);
  for (const auto& record : told.records) EXPECT_EQ(record.outcome, records::Outcome::kAbort);
  EXPECT_EQ(left.sink->wait()[0].finish_reason, "abort");
}

TEST_P(Constraints, AllowedTokensBindWithAndWithoutAConstraint) {
  EngineUnderTest engine(options());
  Submission request = greedy(kQuestion, 5);
  request.ignore_eos = true;
  request.allowed_token_ids = {50, 51};
  const auto outputs = engine.run(request);
  EXPECT_EQ(outputs[0].token_ids.size(), 5u);
  for (const int32_t token : outputs[0].token_ids) {
    EXPECT_TRUE(token == 50 || token == 51) << token;
  }
  request.allowed_token_ids = {40, 41, 42, 43, 44, 99};
  request.constraint = std::make_shared<Source>(State::kReady);
  EXPECT_EQ(engine.run(request)[0].token_ids, (std::vector<int32_t>{40, 41, 42, 43, 44}));
}

TEST_P(Constraints, QueuedTokensAreCounted) {
  EngineOptions limited = options();
  limited.max_num_queued_tokens = 1;
  EngineUnderTest engine(limited);
  EXPECT_EQ(engine.start(greedy(kQuestion, 4)).admission, Engine::Admission::kTooManyTokens);
  limited.max_num_queued_tokens = 100000;
  EngineUnderTest roomy(limited);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(roomy.run(greedy(kQuestion, 4)).size(), 1u);
}

}  // namespace
}  // namespace touchstone::engine
