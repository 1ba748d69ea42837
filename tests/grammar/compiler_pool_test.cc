// Threads, cache and limits of compiling, with a compiler that waits until it is told to go on.
#include "reference_engine/grammar/compiler_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include "base/clock.h"

namespace touchstone::grammar {
namespace {

class NoGrammar final : public CompiledGrammar {
  std::unique_ptr<Matcher> matcher(const std::vector<int32_t>&) const override { return nullptr; }
};

GrammarSpec spec(const std::string& text) {
  GrammarSpec made;
  made.kind = GrammarSpec::Kind::kRegex;
  made.text = text;
  return made;
}

using Outcome = Result<std::shared_ptr<const CompiledGrammar>>;

/// What done() gets, to be waited for.
struct Asked {
  std::shared_ptr<std::promise<Outcome>> promise = std::make_shared<std::promise<Outcome>>();
  std::future<Outcome> outcome = promise->get_future();
  Compiler::Done done() {
    return [promise = promise](Outcome reached) { promise->set_value(std::move(reached)); };
  }
};

class CompilerPoolTest : public ::testing::Test {
 protected:
  CompilerPool::Compile compile() {
    return [this](const GrammarSpec& each) -> Result<Compiled> {
      compiled_.fetch_add(1);
      gate_.wait();
      if (each.text == "bad") return invalid_argument("bad grammar");
      return Compiled{.grammar = std::make_shared<NoGrammar>(), .bytes = 10};
    };
  }
  void open() { opened_.set_value(); }

  /// One whose compilations are given up soon.
  CompilerOptions hasty(int threads) const {
    CompilerOptions made{.threads = threads, .clock = &clock_};
    made.limits.compile_time_max_ns = 50 * kNsPerMs;
    return made;
  }

  const RealClock clock_;
  std::atomic<int> compiled_{0};
  std::promise<void> opened_;
  std::shared_future<void> gate_ = opened_.get_future().share();
};

TEST_F(CompilerPoolTest, TheSameGrammarIsCompiledOnceAndKept) {
  CompilerPool pool({.threads = 2, .clock = &clock_}, compile());
  Asked first;
  Asked second;
  ASSERT_TRUE(pool.compile(spec("a"), first.done()));
  ASSERT_TRUE(pool.compile(spec("a"), second.done()));
  open();
  const Outcome one = first.outcome.get();
  ASSERT_TRUE(one);
  EXPECT_EQ(*second.outcome.get(), *one);
  Asked later;
  ASSERT_TRUE(pool.compile(spec("a"), later.done()));
  EXPECT_EQ(*later.outcome.get(), *one);
  EXPECT_EQ(compiled_.load(), 1);
}

TEST_F(CompilerPoolTest, FailuresAreToldAndNotKept) {
  open();
  CompilerPool pool({.threads = 1, .clock = &clock_}, compile());
  for (int i = 1; i <= 2; ++i) {
    Asked asked;
    ASSERT_TRUE(pool.compile(spec("bad"), asked.done()));
    const Outcome outcome = asked.outcome.get();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().message, "bad grammar");
    EXPECT_EQ(compiled_.load(), i);
  }
}

TEST_F(CompilerPoolTest, TooManyThatWaitAreRefused) {
  std::vector<Asked> asked(3);
  CompilerPool pool({.threads = 1, .max_pending = 1, .clock = &clock_}, compile());
  ASSERT_TRUE(pool.compile(spec("a"), asked[0].done()));
  while (compiled_.load() == 0) std::this_thread::yield();
  ASSERT_TRUE(pool.compile(spec("b"), asked[1].done()));
  const Status refused = pool.compile(spec("c"), asked[2].done());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  open();
  EXPECT_TRUE(asked[0].outcome.get());
  EXPECT_TRUE(asked[1].outcome.get());
}

TEST_F(CompilerPoolTest, TheLeastUsedIsForgotten) {
  open();
  CompilerPool pool({.threads = 1, .cache_bytes_max = 20, .clock = &clock_}, compile());
  const auto get = [&](const std::string& text) {
    Asked asked;
    EXPECT_TRUE(pool.compile(spec(text), asked.done()));
    EXPECT_TRUE(asked.outcome.get());
  };
  for (const char* text : {"a", "b", "a", "c"}) get(text);  // b goes
  EXPECT_EQ(compiled_.load(), 3);
  get("a");
  EXPECT_EQ(compiled_.load(), 3);
  get("b");
  EXPECT_EQ(compiled_.load(), 4);
}

TEST_F(CompilerPoolTest, WhatStillWaitsAtTheEndIsTold) {
  Asked running;
  Asked waiting;
  auto pool =
      std::make_unique<CompilerPool>(CompilerOptions{.threads = 1, .clock = &clock_}, compile());
  ASSERT_TRUE(pool->compile(spec("a"), running.done()));
  while (compiled_.load() == 0) std::this_thread::yield();
  ASSERT_TRUE(pool->compile(spec("b"), waiting.done()));
  std::thread end([&] { pool.reset(); });
  EXPECT_FALSE(waiting.outcome.get());
  open();
  EXPECT_TRUE(running.outcome.get());
  end.join();
}

TEST_F(CompilerPoolTest, WhatTakesTooLongIsGivenUpAndOthersAreCompiledMeanwhile) {
  std::promise<void> let_slow_ones_end;
  const auto slow_gate = let_slow_ones_end.get_future().share();
  const auto compiles = std::make_shared<std::atomic<int>>(0);
  {
    CompilerPool pool(hasty(1), [slow_gate, compiles](const GrammarSpec& each) -> Result<Compiled> {
      compiles->fetch_add(1);
      if (each.text.starts_with("slow")) slow_gate.wait();
      return Compiled{.grammar = std::make_shared<NoGrammar>(), .bytes = 10};
    });
    Asked slow;
    Asked quick;
    ASSERT_TRUE(pool.compile(spec("slow"), slow.done()));
    ASSERT_TRUE(pool.compile(spec("quick"), quick.done()));
    const Outcome given_up = slow.outcome.get();
    ASSERT_FALSE(given_up);
    EXPECT_EQ(given_up.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(given_up.error().message.find("longer than 50 ms"), std::string::npos);
    EXPECT_TRUE(quick.outcome.get()) << "on a thread that took the slow one's place";
    Asked again;
    const Status refused = pool.compile(spec("slow"), again.done());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument) << "known to be slow";
    EXPECT_EQ(compiles->load(), 2);
  }  // the pool ends although it still compiles
  let_slow_ones_end.set_value();
}

TEST_F(CompilerPoolTest, WithManyGivenUpNothingNewIsCompiledAndWhoWaitsIsTold) {
  std::promise<void> let_end;
  const auto gate = let_end.get_future().share();
  const auto begun = std::make_shared<std::atomic<int>>(0);
  CompilerPool pool(hasty(2), [gate, begun](const GrammarSpec&) -> Result<Compiled> {
    begun->fetch_add(1);
    gate.wait();
    return Compiled{.grammar = std::make_shared<NoGrammar>(), .bytes = 10};
  });
  std::vector<Asked> asked(8);
  for (size_t i = 0; i < asked.size(); ++i) {
    ASSERT_TRUE(pool.compile(spec("slow" + std::to_string(i)), asked[i].done()));
  }
  int too_slow = 0;
  int not_tried = 0;
  for (Asked& each : asked) {
    const Outcome outcome = each.outcome.get();
    ASSERT_FALSE(outcome);
    (outcome.error().code == ErrorCode::kUnavailable ? not_tried : too_slow) += 1;
  }
  EXPECT_EQ(too_slow + not_tried, 8);
  // Four given up are the most that anything is begun beside, by two threads.
  EXPECT_GE(too_slow, 4);
  EXPECT_LE(begun->load(), 5);
  EXPECT_EQ(too_slow, begun->load());
  Asked later;
  EXPECT_EQ(pool.compile(spec("another"), later.done()).error().code, ErrorCode::kUnavailable);
  let_end.set_value();
}

}  // namespace
}  // namespace touchstone::grammar
