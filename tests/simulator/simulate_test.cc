// The verb as a person runs it.
#include <gtest/gtest.h>

#include "base/files.h"
#include "tests/simulator/verb.h"

namespace touchstone::simulator {
namespace {

class Simulate : public ::testing::Test {
 protected:
  /// `redirect`: "2>/dev/null" for results, "2>&1 >/dev/null" for messages.
  Ran run(const std::string& arguments, const std::string& redirect = "2>/dev/null") {
    return touchstone("simulate " + arguments, redirect);
  }
  Ran touchstone(const std::string& arguments, const std::string& redirect = "2>/dev/null") {
    return run_touchstone(arguments, redirect);
  }
  void SetUp() override {
    std::string text;
    for (int i = 0; i < 30; ++i) {
      text += "{\"arrival_ns\":" + std::to_string(i * 50'000'000) +
              ",\"prompt_tokens\":" + std::to_string(40 + 3 * i) +
              ",\"output_tokens\":" + std::to_string(10 + i % 7) +
              ",\"prefix_block_ids\":[1,2],\"prefix_block_size\":16}\n";
    }
    ASSERT_TRUE(write_file_atomic(workload_, text).has_value());
  }

  TemporaryDirectory directory_ = TemporaryDirectory::make("touchstone-simulate").value();
  std::string workload_ = directory_.path() + "/w.jsonl";
  std::string good_ = "--workload " + workload_ +
                      " --num-gpu-blocks-override 64 "
                      "--max-model-len 512 --max-num-seqs 8 --steptime linear:5ms,100us,500us";
};

TEST_F(Simulate, EqualInputsGiveEqualBytes) {
  for (const char* format : {"text", "json"}) {
    const Ran once = run(good_ + " --seed 3 --format " + format);
    const Ran twice = run(good_ + " --seed 3 --format " + format);
    EXPECT_EQ(once.exit_code, 0);
    EXPECT_GT(once.text.size(), 200u);
    EXPECT_EQ(once.text, twice.text);
  }
}

TEST_F(Simulate, WhatItWritesReplaysStepForStep) {
  const std::string folder = directory_.path() + "/run";
  ASSERT_EQ(run(good_ + " --output " + folder).exit_code, 0);
  const Ran again = run("--run " + folder + " --steptime recorded --compare");
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_NE(again.text.find("PASS"), std::string::npos) << again.text;
  EXPECT_EQ(run("--run " + folder + " --compare --num-gpu-blocks-override 100").exit_code, 0);

  auto steps = read_file(folder + "/steps.jsonl").value();
  const size_t at = steps.rfind("\"computed\":");
  steps.insert(at + 11, "9");
  ASSERT_TRUE(write_file_atomic(folder + "/steps.jsonl", steps).has_value());
  EXPECT_EQ(run("--run " + folder + " --compare").exit_code, 1) << "a schedule that differs";
}

TEST_F(Simulate, StepsPlannedAheadReplayAndARunLendsTheFlag) {
  const std::string folder = directory_.path() + "/run";
  const std::string note = "steps planned one ahead";
  const Ran first = run(good_ + " --async-scheduling --output " + folder);
  ASSERT_EQ(first.exit_code, 0);
  EXPECT_NE(first.text.find(note), std::string::npos) << first.text;
  const Ran again = run("--run " + folder + " --steptime recorded --compare");
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_NE(again.text.find("PASS"), std::string::npos) << again.text;
  EXPECT_NE(run("--run " + folder).text.find(note), std::string::npos);
  EXPECT_EQ(run("--run " + folder + " --no-async-scheduling").text.find(note), std::string::npos);
}

TEST_F(Simulate, GeneratedLoadNeedsNoFileAndTakesARunsFlagsAndStepTimes) {
  const std::string load = "--requests 200 --rate 20 --prompt-tokens 33-64 --output-tokens 8 ";
  const std::string server =
      "--num-gpu-blocks-override 64 --max-model-len 512 --steptime constant:10ms ";
  const Ran alone = run(load + server);
  EXPECT_EQ(alone.exit_code, 0);
  EXPECT_NE(alone.text.find("simulate generated load, poisson arrivals, 20 requests/s\n"),
            std::string::npos)
      << alone.text;
  EXPECT_EQ(run(load + server).text, alone.text);
  EXPECT_NE(run(load + server + "--seed 1").text, alone.text) << "another seed, other requests";
  const Ran shared = run(load + server + "--prefixes 1 --prefix-tokens 32");
  EXPECT_NE(shared.text.find("prefix-cache hits                  6,368 tokens"), std::string::npos)
      << "all but the first find two blocks\n"
      << shared.text;

  const std::string folder = directory_.path() + "/run";
  ASSERT_EQ(run(good_ + " --output " + folder).exit_code, 0);
  const Ran what_if = run("--run " + folder + " " + load);
  EXPECT_EQ(what_if.exit_code, 0);
  EXPECT_NE(what_if.text.find("note: 64 blocks of 16, 8 sequences"), std::string::npos);
  EXPECT_NE(what_if.text.find("step time fitted: "), std::string::npos) << what_if.text;
  EXPECT_NE(what_if.text.find("requests completed                   200"), std::string::npos);
}

TEST_F(Simulate, SeveralReplicasHaveAFolderEachThatIsAnOrdinaryRun) {
  const std::string folder = directory_.path() + "/cluster";
  const Ran two = run(good_ + " --replicas 2 --router round-robin --output " + folder);
  EXPECT_EQ(two.exit_code, 0);
  EXPECT_NE(two.text.find("note: 2 replicas behind round-robin"), std::string::npos) << two.text;
  EXPECT_NE(two.text.find("Replicas"), std::string::npos);
  for (const char* replica : {"/replica-0", "/replica-1"}) {
    const Ran again = run("--run " + folder + replica + " --steptime recorded");
    EXPECT_EQ(again.exit_code, 0);
    EXPECT_NE(again.text.find("requests completed                    15"), std::string::npos)
        << again.text;
  }
}

/// The same checks that judge a real server's telemetry.
TEST_F(Simulate, ItsSpansAndMetricsPassTheProfileOfAServer) {
  for (const char* folder : {"/first", "/second"}) {
    const std::string path = directory_.path() + folder;
    ASSERT_EQ(run(good_ + " --seed 5 --output " + path).exit_code, 0);
    const Ran audit = touchstone("audit --profile vllm-v1 --fail-on should --file " + path +
                                 "/spans.otlp.jsonl --metrics " + path + "/metrics.txt");
    EXPECT_EQ(audit.exit_code, 0) << audit.text;
    EXPECT_NE(audit.text.find("30 spans"), std::string::npos) << audit.text;
  }
  for (const char* file : {"spans.otlp.jsonl", "metrics.txt", "steps.jsonl", "records.jsonl"}) {
    EXPECT_EQ(read_file(directory_.path() + "/first/" + file).value(),
              read_file(directory_.path() + "/second/" + file).value())
        << file;
  }
  const std::string third = directory_.path() + "/third";
  ASSERT_EQ(run(good_ + " --seed 6 --replicas 2 --output " + third).exit_code, 0);
  EXPECT_NE(read_file(third + "/replica-0/spans.otlp.jsonl").value().substr(0, 2000),
            read_file(third + "/replica-1/spans.otlp.jsonl").value().substr(0, 2000));
  const std::string page = read_file(directory_.path() + "/first/metrics.txt").value();
  EXPECT_NE(page.find("vllm:request_success_total{engine=\"0\",finished_reason=\"length\","
                      "model_name=\"simulated\"} 30.0\n"),
            std::string::npos)
      << page;
  EXPECT_NE(page.find("vllm:time_to_first_token_seconds_count{engine=\"0\","
                      "model_name=\"simulated\"} 30.0\n"),
            std::string::npos);
}

TEST_F(Simulate, MoreBlocksThanMemoryCanAccountForAreRefusedWithTheNumbers) {
  const std::string load = "--requests 1 --steptime constant:1ms --num-gpu-blocks-override ";
  const Ran ran = run(load + "2147483647 --replicas 10000", "2>&1 >/dev/null");
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_NE(
      ran.text.find("--num-gpu-blocks-override: got 2,147,483,647 on each of 10,000 replicas, "
                    "whose account takes about 1120000.0 GiB, expected"),
      std::string::npos)
      << ran.text;
}

TEST_F(Simulate, AFormerRunIsNotOverwritten) {
  const std::string folder = directory_.path() + "/run";
  ASSERT_EQ(run(good_ + " --output " + folder).exit_code, 0);
  const std::string steps = read_file(folder + "/steps.jsonl").value();
  const Ran again = run(good_ + " --seed 1 --output " + folder, "2>&1 >/dev/null");
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_NE(again.text.find("--output: " + folder + ": holds a run already"), std::string::npos)
      << again.text;
  EXPECT_EQ(read_file(folder + "/steps.jsonl").value(), steps);
}

TEST_F(Simulate, ItsRunCarriesItsNameOnce) {
  const std::string folder = directory_.path() + "/run";
  ASSERT_EQ(run(good_ + " --output " + folder).exit_code, 0);
  const Ran judged = touchstone("check --profile vllm-v1 --run " + folder + " --output " +
                                directory_.path() + "/report");
  EXPECT_NE(judged.text.find("simulate " + workload_), std::string::npos) << judged.text;
  EXPECT_EQ(judged.text.find("simulate simulate"), std::string::npos) << judged.text;
}

TEST_F(Simulate, ARunIsNotWrittenOverItself) {
  const std::string folder = directory_.path() + "/run";
  ASSERT_EQ(run(good_ + " --output " + folder).exit_code, 0);
  const Ran again = run("--run " + folder + " --output " + folder, "2>&1 >/dev/null");
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_NE(again.text.find("--output: got the folder of --run"), std::string::npos) << again.text;
  EXPECT_TRUE(read_file(folder + "/steps.jsonl").has_value());
}

TEST_F(Simulate, AClosedLoopKeepsItsClientsBusy) {
  const Ran ran = run(good_ + " --concurrency 4 --think-time 1ms");
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_NE(ran.text.find("peak running                           4 requests"), std::string::npos)
      << ran.text;
}

TEST_F(Simulate, FlagsChangeTheServer) {
  const Ran caching = run(good_);
  const Ran none = run(good_ + " --no-enable-prefix-caching");
  EXPECT_NE(caching.text, none.text);
  EXPECT_NE(none.text.find("no prefix caching"), std::string::npos);
  EXPECT_EQ(run(good_ + " --enable-prefix-caching").text, caching.text);
}

TEST_F(Simulate, BadInputIsUsageWithOneMessage) {
  const std::string no_blocks = "--workload " + workload_ + " --steptime constant:1ms";
  const std::pair<std::string, const char*> rows[] = {
      {"", "got none, expected one of --workload, --requests and --run"},
      {"--workload a --run b", "got several"},
      {"--workload a --requests 9", "got several"},
      {"--run " + directory_.path() + " --requests 9 --steptime recorded", "--steptime recorded"},
      {"--requests 9 --steptime constant:1ms --num-gpu-blocks-override 999 --prompt-tokens 9-1",
       "--prompt-tokens: got \"9-1\""},
      {"--workload " + workload_, "--steptime: got none"},
      {no_blocks, "--num-gpu-blocks-override: got none"},
      {no_blocks + " --num-gpu-blocks-override 0",
       "--num-gpu-blocks-override: Value 0 not in range 2"},
      {no_blocks + " --num-gpu-blocks-override 64 --max-model-len 50", "expected at most 49"},
      {good_ + " --max-num-batched-tokens 3", "max_num_batched_tokens: got 3"},
      {good_ + " --scheduling-policy lifo", "lifo"},
      {good_ + " --compare", "--compare: got other requests"},
      {good_ + " --replicas 0", "--replicas: got 0, expected 1 to 10000"},
      {good_ + " --router fastest", "random"},
      {good_ + " --think-time 1s", "--think-time: got \"1s\", expected it with --concurrency"},
      {good_ + " --concurrency 2 --think-time 1", "--think-time: got \"1\", expected a duration"},
      {"--workload " + workload_ +
           " --num-gpu-blocks-override 64 --max-model-len 512 --steptime constant:1000000000s",
       "got 1000000000s, expected 1ns to 1h"},
      {good_ + " --block-sise 3", "did you mean"},
      {"--workload " + directory_.path() +
           "/none.jsonl --num-gpu-blocks-override 64 "
           "--steptime constant:1ms",
       "none.jsonl"},
      {"--run " + directory_.path(), "server.json"},
      {"--workload " + workload_ + " --num-gpu-blocks-override 999 --steptime fitted", "--run"},
  };
  for (const auto& [arguments, expected] : rows) {
    const Ran ran = run(arguments, "2>&1 >/dev/null");
    EXPECT_EQ(ran.exit_code, 2) << arguments;
    EXPECT_NE(ran.text.find(expected), std::string::npos) << arguments << "\n" << ran.text;
    EXPECT_EQ(run(arguments).text, "") << "nothing on stdout: " << arguments;
  }
}

}  // namespace
}  // namespace touchstone::simulator
