#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>

#include "base/files.h"
#include "base/text.h"
#include "harness/process/capture.h"
#include "harness/process/child.h"
#include "harness/process/guard.h"
#include "harness/process/signals.h"

namespace touchstone::harness {
namespace {

constexpr int64_t kSoon = 20 * kNsPerSecond;  // a deadline that only a hang reaches

class Process : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::make("touchstone-process-test");
    ASSERT_TRUE(made);
    folder_ = std::make_unique<TemporaryDirectory>(std::move(*made));
  }
  std::string path(const std::string& name) const { return folder_->path() + "/" + name; }
  SpawnOptions shell(const std::string& script) const {
    return {.name = "child", .argv = {"sh", "-c", script}, .log_path = path("log")};
  }

  RealClock clock_;
  Supervision supervision_{clock_};
  std::unique_ptr<TemporaryDirectory> folder_;
};

/// Running, i.e. neither gone nor a zombie that nobody has reaped yet.
bool is_running(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(in, text)) return false;
  const size_t end = text.rfind(')');
  return end != std::string::npos && text.size() > end + 2 && text[end + 2] != 'Z';
}

bool wait_for(const std::function<bool()>& condition, const Supervision& supervision) {
  const int64_t deadline = supervision.clock.monotonic_ns() + kSoon;
  while (!condition()) {
    if (supervision.clock.monotonic_ns() > deadline) return false;
    if (!pause_for(5 * kNsPerMs, supervision)) return false;
  }
  return true;
}

bool has_line(const std::string& path) {
  const auto content = read_file(path);
  return content && content->find('\n') != std::string::npos;
}

pid_t pid_in(const std::string& path) {
  const auto content = read_file(path);
  return content ? static_cast<pid_t>(parse_int(trim(*content)).value_or(-1)) : -1;
}

TEST_F(Process, TelemetrySettingsComeFromTheSuiteAlone) {
  ::setenv("OTEL_TRACES_SAMPLER", "always_off", 1);
  ::setenv("TRACEPARENT", "00-1-2-01", 1);
  SpawnOptions options = shell("echo \"[$OTEL_TRACES_SAMPLER][$TRACEPARENT][$OTEL_SERVICE_NAME]\"");
  options.environment = {{"OTEL_SERVICE_NAME", "vllm"}};
  const auto ran = run_and_capture(options, supervision_, kSoon);
  ::unsetenv("OTEL_TRACES_SAMPLER");
  ::unsetenv("TRACEPARENT");
  ASSERT_TRUE(ran) << ran.error().message;
  EXPECT_EQ(ran->output, "[][][vllm]\n");
}

TEST_F(Process, OutputEnvironmentAndFolderAreTheChildsAndItsStatusComesBack) {
  SpawnOptions options = shell("pwd; echo $COLOUR; echo bad >&2; exit 3");
  options.environment = {{"COLOUR", "green"}};
  options.working_directory = folder_->path();
  const auto ran = run_and_capture(options, supervision_, kSoon);
  ASSERT_TRUE(ran) << ran.error().message;
  EXPECT_EQ(ran->output, folder_->path() + "\ngreen\n");
  EXPECT_EQ(ran->errors, "bad\n");
  EXPECT_EQ(ran->status.text(), "exit code 3");
  EXPECT_FALSE(ran->status.good());
}

TEST_F(Process, AMissingProgramIsSaidAtOnce) {
  const auto child =
      ChildProcess::spawn({.name = "subject", .argv = {"/no/such/program"}}, supervision_);
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(child.error().message,
            "subject: cannot start \"/no/such/program\": No such file or directory");
}

TEST_F(Process, AChildThatDiesBeforeItIsReadyIsReportedWithItsLastWords) {
  auto child = ChildProcess::spawn(shell("echo one; echo cannot bind >&2; exit 7"), supervision_);
  ASSERT_TRUE(child);
  const int64_t started = clock_.monotonic_ns();
  const Status ready = (*child)->wait_until([] { return false; }, "health", kSoon);
  ASSERT_FALSE(ready);
  EXPECT_LT(clock_.monotonic_ns() - started, kSoon / 2) << "it waited for the deadline";
  EXPECT_EQ(ready.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(ready.error().message.find("child: ended with exit code 7 before health"),
            std::string::npos);
  EXPECT_NE(ready.error().message.find("cannot bind"), std::string::npos);
}

TEST_F(Process, AChildThatNeverGetsReadyTimesOutWithItsLog) {
  auto child = ChildProcess::spawn(shell("echo loading; sleep 300"), supervision_);
  ASSERT_TRUE(child);
  ASSERT_TRUE(wait_for([&] { return has_line(path("log")); }, supervision_));
  const Status ready = (*child)->wait_until([] { return false; }, "health", 30 * kNsPerMs);
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().code, ErrorCode::kTimeout);
  EXPECT_NE(ready.error().message.find("loading"), std::string::npos);
  const pid_t pid = (*child)->pid();
  child->reset();
  EXPECT_FALSE(is_running(pid)) << "the destructor left it running";
}

TEST_F(Process, StopIsGentleFirst) {
  auto child = ChildProcess::spawn(
      shell("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done"), supervision_);
  ASSERT_TRUE(child);
  ASSERT_TRUE(wait_for([&] { return has_line(path("log")); }, supervision_));
  const ChildProcess::Stop stop = (*child)->stop(kSoon);
  EXPECT_FALSE(stop.forced);
  EXPECT_TRUE(stop.status.good()) << stop.status.text();
  EXPECT_EQ(last_lines(path("log"), 1), "bye");
}

TEST_F(Process, StopKillsWhatIgnoresSigtermAfterTheGraceAndItsChildrenToo) {
  auto child = ChildProcess::spawn(
      shell("trap '' TERM; sleep 300 & echo $! >" + path("pid") + "; echo up; wait"), supervision_);
  ASSERT_TRUE(child);
  ASSERT_TRUE(wait_for([&] { return has_line(path("log")); }, supervision_));
  const ChildProcess::Stop stop = (*child)->stop(30 * kNsPerMs);
  EXPECT_TRUE(stop.forced);
  EXPECT_EQ(stop.status.text(), "signal 9 (Killed)");
  const pid_t grandchild = pid_in(path("pid"));
  EXPECT_TRUE(wait_for([&] { return !is_running(grandchild); }, supervision_));
}

TEST_F(Process, GrandchildrenThatOutliveTheirParentAreKilled) {
  auto child = ChildProcess::spawn(shell("sleep 300 & echo $! >" + path("pid")), supervision_);
  ASSERT_TRUE(child);
  const auto status = (*child)->wait_for_exit(kSoon);
  ASSERT_TRUE(status);
  EXPECT_TRUE(status->good());
  const pid_t grandchild = pid_in(path("pid"));
  EXPECT_TRUE(wait_for([&] { return !is_running(grandchild); }, supervision_));
}

TEST_F(Process, ASignalEndsAWaitAndTheChildIsStillStoppedInOrder) {
  auto signals = SignalWatch::start();
  ASSERT_TRUE(signals);
  const Supervision supervision{clock_, signals->get()};
  auto child = ChildProcess::spawn(
      shell("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done"), supervision);
  ASSERT_TRUE(child);
  ASSERT_TRUE(wait_for([&] { return has_line(path("log")); }, supervision));
  ::kill(::getpid(), SIGINT);
  const Status ready = (*child)->wait_until([] { return false; }, "health", kSoon);
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(ready.error().message, "interrupted by SIGINT");
  const ChildProcess::Stop stop = (*child)->stop(kSoon);
  EXPECT_FALSE(stop.forced) << "the first signal must not cut the grace short";
  EXPECT_EQ(last_lines(path("log"), 1), "bye");
}

TEST_F(Process, ASignalDuringTheGraceEndsIt) {
  auto signals = SignalWatch::start();
  ASSERT_TRUE(signals);
  const Supervision supervision{clock_, signals->get()};
  // The child answers SIGTERM by telling its parent to hurry, and goes on.
  auto child = ChildProcess::spawn(
      shell("trap 'kill -INT $PPID' TERM; echo up; while :; do sleep 0.02; done"), supervision);
  ASSERT_TRUE(child);
  ASSERT_TRUE(wait_for([&] { return has_line(path("log")); }, supervision));
  const int64_t started = clock_.monotonic_ns();
  const ChildProcess::Stop stop = (*child)->stop(kSoon);
  EXPECT_TRUE(stop.forced);
  EXPECT_LT(clock_.monotonic_ns() - started, kSoon / 2);
}

TEST_F(Process, AChildStartsWithNoSignalBlocked) {
  auto signals = SignalWatch::start();
  ASSERT_TRUE(signals);
  const Supervision supervision{clock_, signals->get()};
  const auto ran = run_and_capture(
      {.name = "mask", .argv = {"sh", "-c", "grep SigBlk /proc/self/status"}}, supervision, kSoon);
  ASSERT_TRUE(ran);
  EXPECT_NE(ran->output.find("0000000000000000"), std::string::npos) << ran->output;
}

/// What a harness that is SIGKILLed in the middle of a run leaves behind: nothing.
TEST_F(Process, NothingSurvivesTheSuddenDeathOfTheHarness) {
  const pid_t harness = ::fork();
  ASSERT_GE(harness, 0);
  if (harness == 0) {
    auto guard = ProcessGuard::start();
    const Supervision supervision{clock_, nullptr, guard->get()};
    auto child = ChildProcess::spawn(shell("echo $$ >" + path("child") + "; sh -c 'echo $$ >" +
                                           path("grandchild") + "; exec sleep 300' & wait"),
                                     supervision);
    if (!wait_for([&] { return has_line(path("child")) && has_line(path("grandchild")); },
                  supervision)) {
      ::_exit(1);
    }
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(harness, &status, 0), harness);
  ASSERT_TRUE(WIFSIGNALED(status)) << "the harness did not get that far";
  const pid_t child = pid_in(path("child"));
  const pid_t grandchild = pid_in(path("grandchild"));
  ASSERT_GT(child, 0);
  ASSERT_GT(grandchild, 0);
  EXPECT_TRUE(wait_for([&] { return !is_running(child); }, supervision_));
  EXPECT_TRUE(wait_for([&] { return !is_running(grandchild); }, supervision_));
}

TEST_F(Process, AGuardWithNothingToGuardEndsWithItsOwner) {
  auto guard = ProcessGuard::start();
  ASSERT_TRUE(guard);
  {
    const Supervision supervision{clock_, nullptr, guard->get()};
    auto child = ChildProcess::spawn(shell("exit 0"), supervision);
    ASSERT_TRUE(child);
    EXPECT_TRUE((*child)->wait_for_exit(kSoon));
  }
  guard->reset();  // hangs if the guard does not see its end
}

TEST_F(Process, LastLinesAreTheLastOnes) {
  const std::string file = path("lines");
  const struct {
    std::string content;
    size_t count;
    std::string expected;
  } rows[] = {{"", 3, ""},          {"a", 3, "a"},     {"a\nb\nc\n", 2, "b\nc"},
              {"a\nb\nc", 1, "c"},  {"\n\n\n", 2, ""}, {"a\n\nb\n", 2, "\nb"},
              {"a\nb\n", 9, "a\nb"}};
  for (const auto& row : rows) {
    ASSERT_TRUE(write_file_atomic(file, row.content));
    EXPECT_EQ(last_lines(file, row.count), row.expected) << quote(row.content);
  }
  EXPECT_EQ(last_lines(path("none"), 3), "");
}

}  // namespace
}  // namespace touchstone::harness
