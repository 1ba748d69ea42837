// Threads, cache and limits of compiling, with a compiler that waits until it is told to go on.
#include "reference_engine/grammar/compiler_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

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

  std::atomic<int> compiled_{0};
  std::promise<void> opened_;
  std::shared_future<void> gate_ = opened_.get_future().share();
};

TEST_F(CompilerPoolTest, TheSameGrammarIsCompiledOnceAndKept) {
  CompilerPool pool({.threads = 2}, compile());
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
  CompilerPool pool({.threads = 1}, compile());
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
  CompilerPool pool({.threads = 1, .max_pending = 1}, compile());
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
  CompilerPool pool({.threads = 1, .cache_bytes_max = 20}, compile());
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
  auto pool = std::make_unique<CompilerPool>(CompilerOptions{.threads = 1}, compile());
  ASSERT_TRUE(pool->compile(spec("a"), running.done()));
  while (compiled_.load() == 0) std::this_thread::yield();
  ASSERT_TRUE(pool->compile(spec("b"), waiting.done()));
  std::thread end([&] { pool.reset(); });
  EXPECT_FALSE(waiting.outcome.get());
  open();
  EXPECT_TRUE(running.outcome.get());
  end.join();
}

}  // namespace
}  // namespace touchstone::grammar
