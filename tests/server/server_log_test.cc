#include "reference_engine/server/server_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "base/mutex.h"

namespace touchstone::server {
namespace {

/// What a log wrote; the writer can be held.
class Written final {
 public:
  ServerLog::Write write = [this](const std::string& line) {
    const MutexLock lock(mutex_);
    started_ = true;
    changed_.notify_all();
    changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return !held_; });
    lines_.push_back(line);
  };
  void hold() {
    const MutexLock lock(mutex_);
    held_ = true;
  }
  void wait_until_held() {
    const MutexLock lock(mutex_);
    changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return started_; });
  }
  void release() {
    const MutexLock lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  std::vector<std::string> lines() {
    const MutexLock lock(mutex_);
    return lines_;
  }

 private:
  Mutex mutex_;
  ConditionVariable changed_;
  bool held_ GUARDED_BY(mutex_) = false;
  bool started_ GUARDED_BY(mutex_) = false;
  std::vector<std::string> lines_ GUARDED_BY(mutex_);
};

/// Time that stands still until it is set.
class SetClock final : public Clock {
 public:
  int64_t monotonic_ns() const override { return now_ns.load(); }
  int64_t unix_ns() const override { return now_ns.load(); }
  std::atomic<int64_t> now_ns{0};
};

http::HttpExchange exchange(std::string target, int status = 200) {
  return {.client = "127.0.0.1:5",
          .route = {},
          .method = "GET",
          .target = std::move(target),
          .status = status};
}

TEST(ServerLog, AccessLinesAreThoseOfUvicorn) {
  EXPECT_EQ(access_line(exchange("/v1/models?a=b")),
            R"(INFO:     127.0.0.1:5 - "GET /v1/models?a=b HTTP/1.1" 200 OK)");
  http::HttpExchange old = exchange("/nope", 404);
  old.http_1_0 = true;
  EXPECT_EQ(access_line(old), R"(INFO:     127.0.0.1:5 - "GET /nope HTTP/1.0" 404 Not Found)");
}

TEST(ServerLog, AClientCannotMakeLinesOfItsOwn) {
  const std::string line = access_line(exchange("/a\r\nINFO: \"b\x1b[0m\xff"));
  EXPECT_NE(line.find("/a%0D%0AINFO:%20%22b%1B[0m%FF "), std::string::npos) << line;
  EXPECT_LT(access_line(exchange(std::string(1 << 20, 'a'))).size(), 2000u);
}

TEST(ServerLog, WarningsOfAKindAreOneEveryTenSecondsAndTheOthersAreCounted) {
  SetClock clock;
  Written written;
  {
    ServerLog log({}, clock, written.write);
    for (int i = 0; i < 5; ++i) log.warn("a", "first");
    log.warn("b", "other kind");
    clock.now_ns = 11 * kNsPerSecond;
    log.warn("a", "later");
  }
  EXPECT_EQ(written.lines(), (std::vector<std::string>{"WARNING:  first", "WARNING:  other kind",
                                                       "WARNING:  later (and 4 more like it)"}));
}

TEST(ServerLog, AReaderThatStallsHoldsUpNobodyAndWhatDoesNotFitIsCounted) {
  SetClock clock;
  Written written;
  {
    ServerLog log({}, clock, written.write);
    written.hold();
    log.on_response_start(exchange("/first"));
    written.wait_until_held();
    for (int i = 0; i < 20'000; ++i) log.on_response_start(exchange("/more"));  // returns
    written.release();
  }
  const std::vector<std::string> lines = written.lines();
  EXPECT_LT(lines.size(), 10'000u);
  EXPECT_TRUE(std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
    return line.find("log lines did not fit") != std::string::npos;
  }));
}

TEST(ServerLog, QuietPathsAndASwitchedOffLogHaveNoAccessLines) {
  SetClock clock;
  Written quiet;
  {
    ServerLog log({.access = true, .quiet_paths = {"/health"}}, clock, quiet.write);
    log.on_response_start(exchange("/health?x"));
    log.on_response_start(exchange("/healthy"));
  }
  EXPECT_EQ(quiet.lines().size(), 1u);
  Written off;
  {
    ServerLog log({.access = false}, clock, off.write);
    log.on_response_start(exchange("/healthy"));
    log.on_problem(exchange("/", 431), "headers too large");
  }
  EXPECT_EQ(off.lines(), std::vector<std::string>{"WARNING:  127.0.0.1:5: headers too large"});
}

}  // namespace
}  // namespace touchstone::server
