#include "records/step_log.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/files.h"
#include "tests/support/generators.h"

namespace touchstone::records {
namespace {

using namespace touchstone::testing;  // NOLINT

constexpr char kHeader[] =
    R"({"step_log":1,"engine":"touchstone 0.1.0","clock":"virtual","block_size":32,)"
    R"("enable_prefix_caching":true,"num_blocks":28,"policy":"fcfs"})";
constexpr char kStep[] =
    R"({"step":7,"start_ns":1000,"duration_ns":50,"inputs":[{"kind":"arrive","id":3,"time_ns":900},)"
    R"({"kind":"abort","id":1,"time_ns":950}],"requests":[{"id":2,"computed":40,"scheduled":1,)"
    R"("samples":true},{"id":3,"computed":32,"scheduled":64,"cached":32,"prefill":true}],)"
    R"("preempted":[5],"finished":[{"id":2,"reason":"stop"}],"running":2,"waiting":1,)"
    R"("free_blocks":20,"cached_blocks":4})";

Result<StepLog> read_text(const std::string& text) {
  Result<TemporaryDirectory> directory = TemporaryDirectory::make("step-log-test");
  BASE_CHECK(directory.has_value());
  const std::string path = directory->path() + "/steps.jsonl";
  BASE_CHECK(write_file_atomic(path, text).has_value());
  return read_step_log(path);
}

rc::Gen<StepRecord> gen_step() {
  return rc::gen::exec([] {
    StepRecord step;
    step.step = *gen_count();
    step.start_ns = *gen_count();
    step.planned_ns = *rc::gen::oneOf(rc::gen::just(step.start_ns), gen_count());
    step.duration_ns = *gen_count();
    for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
      step.inputs.push_back({*rc::gen::elementOf(std::vector<StepInput::Kind>{
                                 StepInput::Kind::kArrive, StepInput::Kind::kAbort,
                                 StepInput::Kind::kComplete, StepInput::Kind::kResetPrefixCache}),
                             static_cast<uint64_t>(*gen_count()), *gen_count()});
    }
    for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
      step.requests.push_back({static_cast<uint64_t>(*gen_count()), *gen_count(), *gen_count(),
                               *rc::gen::arbitrary<bool>(), *gen_count(),
                               *rc::gen::arbitrary<bool>()});
    }
    for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
      step.preempted.push_back(static_cast<uint64_t>(*gen_count()));
      step.finished.push_back({static_cast<uint64_t>(*gen_count()), *gen_text()});
    }
    step.running = *gen_count();
    step.waiting = *gen_count();
    step.free_blocks = *gen_count();
    step.cached_blocks = *gen_count();
    return step;
  });
}

TEST(StepLog, WritesTheDocumentedLines) {
  const Result<StepLog> log = read_text(std::string(kHeader) + "\n" + kStep + "\n");
  ASSERT_TRUE(log) << log.error().message;
  EXPECT_EQ(to_json_line(log->header), kHeader);
  EXPECT_EQ(std::get<int64_t>(log->header.config.at("num_blocks")), 28);
  EXPECT_TRUE(std::get<bool>(log->header.config.at("enable_prefix_caching")));
  EXPECT_EQ(std::get<std::string>(log->header.config.at("policy")), "fcfs");
  ASSERT_EQ(log->steps.size(), 1u);
  EXPECT_EQ(to_json_line(log->steps[0]), kStep);
  EXPECT_EQ(log->steps[0].inputs[1].kind, StepInput::Kind::kAbort);
  EXPECT_EQ(log->steps[0].requests[1].cached, 32);
  EXPECT_FALSE(log->steps[0].requests[1].samples);
  EXPECT_EQ(log->steps[0].finished[0].reason, "stop");
}

constexpr char kAsynchronousStep[] =
    R"({"step":8,"planned_ns":1010,"start_ns":1050,"duration_ns":40,"inputs":[{"kind":"complete",)"
    R"("step":6,"time_ns":1000}],"requests":[{"id":2,"computed":41,"scheduled":1}],"preempted":[],)"
    R"("finished":[],"running":1,"waiting":0,"free_blocks":20,"cached_blocks":4})";

TEST(StepLog, AStepPlannedAheadSaysWhenAndAfterWhichItCame) {
  const Result<StepLog> log =
      read_text(std::string(kHeader) + "\n" + kStep + "\n" + kAsynchronousStep + "\n");
  ASSERT_TRUE(log) << log.error().message;
  ASSERT_EQ(log->steps.size(), 2u);
  EXPECT_EQ(log->steps[0].planned_ns, log->steps[0].start_ns);
  EXPECT_EQ(log->steps[1].planned_ns, 1010);
  ASSERT_EQ(log->steps[1].inputs.size(), 1u);
  EXPECT_EQ(log->steps[1].inputs[0].kind, StepInput::Kind::kComplete);
  EXPECT_EQ(log->steps[1].inputs[0].id, 6u);
  EXPECT_EQ(to_json_line(log->steps[1]), kAsynchronousStep);
}

// The line holds every field, so equal lines mean equal records.
RC_GTEST_PROP(StepLog, EveryStepSurvivesARoundTrip, ()) {
  const std::string line = to_json_line(*gen_step());
  const Result<StepLog> log = read_text(std::string(kHeader) + "\n" + line + "\n");
  RC_ASSERT(log.has_value());
  RC_ASSERT(to_json_line(log->steps.at(0)) == line);
}

TEST(StepLog, IgnoresKeysOfANewerWriter) {
  std::string step = kStep;
  step.insert(1, R"("gpu_ns":5,)");
  EXPECT_TRUE(read_text(std::string(kHeader) + "\n" + step));
}

TEST(StepLog, SaysWhereAndWhatIsWrong) {
  struct Row {
    std::string text;
    std::string message;
  };
  const std::string header = std::string(kHeader) + "\n";
  const std::string step = kStep;
  std::string other_version = header;
  other_version.replace(other_version.find(":1,"), 3, ":9,");
  std::string negative = step;
  negative.replace(negative.find("\"id\":2"), 6, "\"id\":-2");
  std::string kind = step;
  kind.replace(kind.find("arrive"), 6, "arrvie");
  std::string missing = step;
  missing.replace(missing.find("\"running\":2,"), 12, "");
  const Row rows[] = {
      {"", ": got an empty file, expected a step log with its header line"},
      {step + "\n", ":1: missing key \"step_log\""},
      {other_version, ":1: step_log: got version 9, expected 1"},
      {header + step.substr(0, step.size() / 2), ":2: not valid JSON"},
      {header + negative, ":2: requests[0].id: got -2, expected an id >= 0"},
      {header + kind,
       ":2: inputs[0].kind: got \"arrvie\", expected one of: arrive, abort, complete"},
      {header + missing, ":2: missing key \"running\""},
      {header + "[]", ":2: got [], expected an object"},
  };
  for (const Row& row : rows) {
    const Result<StepLog> log = read_text(row.text);
    ASSERT_FALSE(log) << row.text;
    EXPECT_EQ(log.error().code, ErrorCode::kInvalidArgument) << row.text;
    EXPECT_NE(log.error().message.find(row.message), std::string::npos) << row.text << "\n"
                                                                        << log.error().message;
  }
}

TEST(StepLog, EveryTruncationOfTheLastLineIsAnErrorOrNothingWasCut) {
  const std::string whole = std::string(kHeader) + "\n" + kStep;
  for (size_t size = sizeof kHeader + 1; size < whole.size(); ++size) {
    EXPECT_FALSE(read_text(whole.substr(0, size))) << size;
  }
  EXPECT_TRUE(read_text(whole));
}

TEST(StepLog, AMissingFileIsNotFound) {
  const Result<StepLog> log = read_step_log("no/such/steps.jsonl");
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace touchstone::records
