#include "harness/faults/fault.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <set>

#include "base/files.h"
#include "tests/support/paths.h"

namespace touchstone::harness {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSoon = 20 * kNsPerSecond;  // a deadline that only a hang reaches

/// A shell that counts its starts in a file and waits.
class ShellPart final : public Part {
 public:
  ShellPart(std::string folder, const Supervision& supervision)
      : folder_(std::move(folder)), supervision_(supervision) {
    EXPECT_TRUE(spawn());
  }
  const std::string& name() const override { return name_; }
  std::string title() const override { return "the shell"; }
  Status enter(Stage) override { return {}; }
  ChildProcess* process() override { return process_.get(); }
  Status restart() override {
    process_->kill();
    return spawn();
  }

 private:
  Status spawn() {
    auto started = ChildProcess::spawn(
        {.name = name_, .argv = {"sleep", "1000"}, .log_path = folder_ + "/log"}, supervision_);
    if (!started) return std::move(started).error();
    process_ = std::move(*started);
    return {};
  }
  const std::string folder_;
  const Supervision& supervision_;
  const std::string name_ = "shell";
  std::unique_ptr<ChildProcess> process_;
};

class Faults : public ::testing::Test {
 protected:
  static const FaultKind& kind(const std::string& word) {
    for (const FaultKind& kind : fault_kinds()) {
      if (kind.word == word) return kind;
    }
    ADD_FAILURE() << word;
    return fault_kinds().front();
  }
  Status apply(const std::string& word) {
    Fault fault;
    fault.kind = &kind(word);
    return fault.kind->apply(part_, fault);
  }
  /// The state letter of /proc/PID/stat: 'S' sleeps, 'T' is stopped.
  static char state_of(pid_t pid) {
    const auto text = read_file("/proc/" + std::to_string(pid) + "/stat");
    const size_t end = text ? text->rfind(')') : std::string::npos;
    return end == std::string::npos ? '?' : text->at(end + 2);
  }
  bool reaches(pid_t pid, char state) {
    const int64_t deadline = clock_.monotonic_ns() + kSoon;
    while (state_of(pid) != state) {
      if (clock_.monotonic_ns() > deadline) return false;
      (void)pause_for(kNsPerMs, supervision_);
    }
    return true;
  }

  RealClock clock_;
  Supervision supervision_{clock_};
  TemporaryDirectory folder_ = TemporaryDirectory::make("touchstone-faults").value();
  ShellPart part_{folder_.path(), supervision_};
};

TEST_F(Faults, KillEndsThePartAtOnceAndOnlyOnce) {
  ASSERT_TRUE(apply("kill"));
  const auto status = part_.process()->wait_for_exit(kSoon);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->signal, SIGKILL);
  const Status again = apply("kill");
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().message, HasSubstr("had already ended"));
}

TEST_F(Faults, StopHangsItUntilItIsUndone) {
  const pid_t pid = part_.process()->pid();
  ASSERT_TRUE(apply("stop"));
  EXPECT_TRUE(reaches(pid, 'T'));
  ASSERT_TRUE(kind("stop").undo(part_));
  EXPECT_TRUE(reaches(pid, 'S'));
}

TEST_F(Faults, RestartIsAnotherProcessWithTheSameCommand) {
  const pid_t first = part_.process()->pid();
  ASSERT_TRUE(apply("restart"));
  EXPECT_NE(part_.process()->pid(), first);
  EXPECT_FALSE(part_.process()->exited());
}

TEST(FaultText, GoodAndBadRows) {
  const auto fault = parse_fault("stop:canary-2@2s+500ms");
  ASSERT_TRUE(fault) << fault.error().message;
  EXPECT_STREQ(fault->kind->word, "stop");
  EXPECT_EQ(fault->target, "canary-2");
  EXPECT_EQ(fault->at_ns, 2 * kNsPerSecond);
  EXPECT_EQ(fault->lasts_ns, 500 * kNsPerMs);
  EXPECT_EQ(parse_fault("kill-collector@3s")->target, "collector");
  const auto slow = parse_fault("slow:engine-1/collector@1s+2s,latency=50ms,bytes_per_s=2000");
  ASSERT_TRUE(slow) << slow.error().message;
  EXPECT_EQ(slow->target, "engine-1/collector");
  EXPECT_EQ(slow->value("latency"), 50 * kNsPerMs);
  EXPECT_EQ(slow->value("bytes_per_s"), 2000);
  EXPECT_EQ(parse_fault("half-open:a/b@1s")->target, "a/b") << "a kind's name may have a dash";
  EXPECT_EQ(parse_fault("throttle:a/b@1s")->value("retry_after"), kNsPerSecond) << "the default";
  for (const char* bad : {"",
                          "kill",
                          "kill@1s",
                          "kill:@1s",
                          "kill:x",
                          "kill:x@",
                          "kill:x@1",
                          "kill:x@-1s",
                          "kill:x@1s+1s",
                          "stop:x@1s+",
                          "stop:x@1s+0s",
                          "stop:x y@1s",
                          "KILL:x@1s",
                          "slow:a/@1s",
                          "slow:a/b/c@1s",
                          "slow:a/b@1s,latency",
                          "slow:a/b@1s,latency=50",
                          "slow:a/b@1s,late=5ms",
                          "slow:a/b@1s,bytes_per_s=0",
                          "partial:a/b@1s,share=101",
                          "kill:x@1s,latency=1s",
                          "kill:x@2s..1s",
                          "kill:x@1s..2s*0",
                          "kill:x@1s..2s*x",
                          "kill:x@1s..2s*1+1s"}) {
    const auto parsed = parse_fault(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_THAT(parsed.error().message, HasSubstr("fault")) << bad;
  }
}

TEST(FaultText, DrawnMomentsAreOfTheSeedAndSayThemselves) {
  const auto drawn = parse_fault("restart:collector@1s..9s*20");
  const auto fixed = parse_fault("stop:engine@2s+1s");
  ASSERT_TRUE(drawn && fixed);
  const auto moments = [&](uint64_t seed) {
    std::vector<std::string> texts;
    for (const Fault& fault : with_moments({*drawn, *fixed}, seed)) {
      EXPECT_FALSE(fault.until_ns);
      const auto again = parse_fault(fault.text);
      EXPECT_TRUE(again && again->at_ns == fault.at_ns) << fault.text;
      texts.push_back(fault.text);
    }
    return texts;
  };
  const auto one = moments(1);
  ASSERT_EQ(one.size(), 21u);
  EXPECT_EQ(one.back(), "stop:engine@2s+1s");
  EXPECT_EQ(one, moments(1));
  EXPECT_NE(one, moments(2));
  std::set<std::string> different(one.begin(), one.end());
  EXPECT_GT(different.size(), 15u);
  for (const Fault& fault : with_moments({*drawn}, 3)) {
    EXPECT_GE(fault.at_ns, kNsPerSecond);
    EXPECT_LE(fault.at_ns, 9 * kNsPerSecond);
  }
}

/// docs/faults.md names each kind, with what it does and what it proves.
TEST(FaultKinds, TheDocumentHasThemAll) {
  const auto text = read_file(support::source_dir() + "/docs/faults.md");
  ASSERT_TRUE(text) << text.error().message;
  for (const FaultKind& kind : fault_kinds()) {
    const std::string row = "| `" + std::string(kind.word) + "` | " + to_string(kind.target) +
                            " | " + kind.summary + " | " + kind.proves + " |";
    EXPECT_THAT(*text, HasSubstr(row));
    for (const FaultOption& option : kind.options) {
      EXPECT_THAT(*text, HasSubstr("`" + std::string(option.word) + "`"));
    }
  }
}

}  // namespace
}  // namespace touchstone::harness
