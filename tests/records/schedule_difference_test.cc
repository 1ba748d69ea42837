#include "records/schedule_difference.h"

#include <gtest/gtest.h>

#include <functional>

namespace touchstone::records {
namespace {

StepLog sample() {
  StepLog log;
  log.header.config = {{"max_num_seqs", int64_t{8}}, {"policy", std::string("fcfs")}};
  for (int64_t step = 0; step < 4; ++step) {
    StepRecord record;
    record.step = step;
    record.start_ns = 1000 * step;
    record.duration_ns = 900;
    record.inputs = {{StepInput::Kind::kArrive, 7, 1000 * step}};
    record.requests = {{.id = 7, .computed = step, .scheduled = 1, .samples = true, .cached = 2}};
    record.preempted = {3};
    record.finished = {{7, "stop"}};
    record.running = 1;
    log.steps.push_back(std::move(record));
  }
  return log;
}

TEST(ScheduleDifference, TimesAreNoPartOfASchedule) {
  StepLog slower = sample();
  for (StepRecord& step : slower.steps) {
    step.start_ns *= 3;
    step.duration_ns *= 3;
    step.inputs[0].time_ns += 5;
  }
  const LogComparison comparison = compare_logs(sample(), slower);
  EXPECT_TRUE(comparison.equal());
  EXPECT_EQ(comparison.equal_steps, 4);
  EXPECT_EQ(comparison.before.busy_ns, 3600);
  EXPECT_EQ(comparison.after.busy_ns, 3 * 3600);
}

TEST(ScheduleDifference, NamesTheFirstDecisionThatIsNotTheSame) {
  const struct {
    const char* what;
    const char* before;
    const char* after;
    std::optional<uint64_t> request;
    std::function<void(StepRecord&)> change;
  } rows[] = {
      {"inputs",
       "[arrive 7]",
       "[abort 7]",
       {},
       [](StepRecord& step) { step.inputs[0].kind = StepInput::Kind::kAbort; }},
      {"step", "2", "9", {}, [](StepRecord& step) { step.step = 9; }},
      {"preempted", "[3]", "[3, 4]", {}, [](StepRecord& step) { step.preempted.push_back(4); }},
      {"scheduled requests", "[7]", "[]", {}, [](StepRecord& step) { step.requests.clear(); }},
      {"cached", "2", "0", 7, [](StepRecord& step) { step.requests[0].cached = 0; }},
      {"computed", "2", "0", 7, [](StepRecord& step) { step.requests[0].computed = 0; }},
      {"scheduled", "1", "5", 7, [](StepRecord& step) { step.requests[0].scheduled = 5; }},
      {"samples", "1", "0", 7, [](StepRecord& step) { step.requests[0].samples = false; }},
      {"prefill", "0", "1", 7, [](StepRecord& step) { step.requests[0].prefill = true; }},
      {"running", "1", "2", {}, [](StepRecord& step) { step.running = 2; }},
      {"waiting", "0", "2", {}, [](StepRecord& step) { step.waiting = 2; }},
      {"free_blocks", "0", "2", {}, [](StepRecord& step) { step.free_blocks = 2; }},
      {"cached_blocks", "0", "2", {}, [](StepRecord& step) { step.cached_blocks = 2; }},
      {"finished",
       "[7 stop]",
       "[7 length]",
       {},
       [](StepRecord& step) { step.finished[0].reason = "length"; }},
  };
  for (const auto& row : rows) {
    StepLog changed = sample();
    row.change(changed.steps[2]);
    const LogComparison comparison = compare_logs(sample(), changed);
    ASSERT_TRUE(comparison.schedule.has_value()) << row.what;
    EXPECT_EQ(comparison.equal_steps, 2) << row.what;
    EXPECT_EQ(comparison.schedule->step, 2) << row.what;
    EXPECT_EQ(comparison.schedule->what, row.what);
    EXPECT_EQ(comparison.schedule->before, row.before);
    EXPECT_EQ(comparison.schedule->after, row.after);
    EXPECT_EQ(comparison.schedule->request, row.request) << row.what;
  }
}

TEST(ScheduleDifference, ALogThatEndsEarlierIsADifference) {
  StepLog shorter = sample();
  shorter.steps.pop_back();
  const LogComparison less = compare_logs(sample(), shorter);
  EXPECT_EQ(less.equal_steps, 3);
  EXPECT_EQ(less.schedule->step, 3);
  EXPECT_EQ(less.schedule->after, "the log's end");
  const LogComparison more = compare_logs(shorter, sample());
  EXPECT_EQ(more.schedule->before, "the log's end");
  EXPECT_EQ(more.schedule->after, "[7]");
}

TEST(ScheduleDifference, ConfigurationsAreComparedFieldByField) {
  StepLog other = sample();
  other.header.config["max_num_seqs"] = int64_t{16};
  other.header.config.erase("policy");
  other.header.config["new"] = true;
  const LogComparison comparison = compare_logs(sample(), other);
  EXPECT_FALSE(comparison.equal());
  ASSERT_EQ(comparison.config.size(), 3U);
  EXPECT_EQ(comparison.config[0].what + comparison.config[0].before + comparison.config[0].after,
            "max_num_seqs816");
  EXPECT_EQ(comparison.config[1].after, "true");
  EXPECT_EQ(comparison.config[2].before, "\"fcfs\"");
  EXPECT_EQ(comparison.config[2].after, "");
}

}  // namespace
}  // namespace touchstone::records
