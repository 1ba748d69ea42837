#include "reference_engine/server/server_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "reference_engine/server/line_output.h"

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
    return true;
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

TEST(ServerLog, AReaderThatNeverComesBackDoesNotHoldUpTheEndAndWhatItMissedIsCounted) {
  SetClock clock;
  std::atomic<int64_t> tries = 0;
  std::string last;  // of the log's thread, read after its end
  const ServerLog::Write never = [&](const std::string& line) {
    tries += 1;
    clock.now_ns += 100 * kNsPerMs;
    last = line;
    return false;
  };
  {
    ServerLog log({}, clock, never);
    log.on_response_start(exchange("/"));
    while (tries < 5) std::this_thread::yield();  // the first is taken; the others come after it
    for (int i = 1; i < 1000; ++i) log.on_response_start(exchange("/"));
  }
  EXPECT_EQ(last, "WARNING:  1,000 log lines did not fit");
}

/// A pipe; closed at the end.
class Pipe final {
 public:
  Pipe() { EXPECT_EQ(::pipe(ends_), 0); }
  ~Pipe() {
    close_reader();
    ::close(ends_[1]);
  }
  int writer() const { return ends_[1]; }
  std::string read_some() {
    std::string text(65'536, '\0');
    text.resize(static_cast<size_t>(std::max<ssize_t>(::read(ends_[0], text.data(), 65'536), 0)));
    return text;
  }
  void close_reader() {
    if (ends_[0] >= 0) ::close(std::exchange(ends_[0], -1));
  }

 private:
  int ends_[2] = {-1, -1};
};

TEST(LineOutput, ALineThatFindsNoRoomIsNotWrittenAndTheNextThatDoesIs) {
  Pipe pipe;
  LineOutput output(pipe.writer());
  EXPECT_TRUE(output.write("first"));
  EXPECT_EQ(pipe.read_some(), "first\n");
  const std::string line(1000, 'x');
  int written = 0;
  while (written < 10'000 && output.write(line)) written += 1;
  ASSERT_LT(written, 10'000);
  EXPECT_FALSE(output.write("no room"));
  int64_t lines = 0;
  while (lines < written) {
    const std::string text = pipe.read_some();
    lines += std::count(text.begin(), text.end(), '\n');
  }
  EXPECT_TRUE(output.write("room again"));
  EXPECT_EQ(pipe.read_some(), "room again\n");
}

TEST(LineOutput, LinesAreShortenedAndAReaderThatHasGoneTakesEverything) {
  Pipe pipe;
  LineOutput output(pipe.writer());
  EXPECT_TRUE(output.write(std::string(100'000, 'x')));
  EXPECT_EQ(pipe.read_some(), std::string(4095, 'x') + "\n");
  std::signal(SIGPIPE, SIG_IGN);
  pipe.close_reader();
  EXPECT_TRUE(output.write("nobody"));
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
