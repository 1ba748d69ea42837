// What people get wrong, on the command line: one clear message each, the exit code of usage,
// nothing on stdout and nothing half-written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"
#include "base/text.h"
#include "tests/simulator/verb.h"

namespace touchstone::simulator {
namespace {

using ::testing::HasSubstr;

class BadInput : public ::testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& text) {
    const std::string path = directory_.path() + "/" + name;
    EXPECT_TRUE(write_file_atomic(path, text).has_value());
    return path;
  }
  std::string workload(const std::string& lines) {
    return "simulate --workload " + file("w.jsonl", lines) + server_;
  }
  /// Whatever it writes goes into a folder that must not be there afterwards.
  void expect_refused(const std::string& arguments, const std::string& expected) {
    const std::string out = directory_.path() + "/out";
    const std::string command = arguments + " --output " + out;
    const Ran messages = run_touchstone(command, kMessages);
    EXPECT_EQ(messages.exit_code, 2) << arguments << "\n" << messages.text;
    EXPECT_THAT(messages.text, HasSubstr(expected)) << arguments;
    const std::vector<std::string> lines = split(trim(messages.text), '\n');
    EXPECT_LE(lines.size(), 2u) << "a message and a hint: " << messages.text;
    if (lines.size() == 2) {
      EXPECT_THAT(lines[1], HasSubstr("hint:")) << messages.text;
    }
    EXPECT_EQ(run_touchstone(command).text, "") << arguments;
    EXPECT_FALSE(std::filesystem::exists(out)) << "half-written: " << arguments;
  }

  TemporaryDirectory directory_ = TemporaryDirectory::make("touchstone-bad").value();
  const std::string server_ =
      " --num-gpu-blocks-override 64 --max-model-len 512 --steptime constant:1ms";
  const std::string good_ = "{\"name\":\"a\",\"prompt_tokens\":5,\"output_tokens\":5}\n";
};

TEST_F(BadInput, OfWorkloads) {
  const auto later = [&](const std::string& line) { return workload(good_ + line + "\n"); };
  expect_refused(later(R"({"name":"a","prompt_tokens":5,"output_tokens":5})"),
                 "w.jsonl:2: name: got \"a\" twice");
  expect_refused(workload("{\"arrival_ns\":9,\"prompt_tokens\":5,\"output_tokens\":5}\n"
                          "{\"arrival_ns\":8,\"prompt_tokens\":5,\"output_tokens\":5}\n"),
                 "w.jsonl:2: arrival_ns: got 8, expected at least 9");
  expect_refused(later(R"({"arrival_ns":-1,"prompt_tokens":5,"output_tokens":5})"),
                 "w.jsonl:2: arrival_ns: got -1");
  expect_refused(later(R"({"arrival_ns":9223372036854775807,"prompt_tokens":5,"output_tokens":5})"),
                 "request r0001: got arrival 9223372036854775807 ns, expected at most");
  expect_refused(
      later(R"({"arrival_ns":92233720368547758070,"prompt_tokens":5,"output_tokens":5})"),
      "w.jsonl:2: arrival_ns: got");
  expect_refused(later(R"({"prompt_tokens":512,"output_tokens":5})"),
                 "prompt_tokens: got 512, expected at most 511");
  expect_refused(later(R"({"prompt_tokens":9,"output_tokens":0})"), "output_tokens: got 0");
  expect_refused(later(R"({"prompt_tokens":9,"output_tokens":5,"timeout_ns":0})"),
                 "w.jsonl:2: timeout_ns: got 0");
  expect_refused(later(R"({"prompt_tokens":30,"output_tokens":5,"prefix_block_ids":[1,2],)"
                       R"("prefix_block_size":16})"),
                 "w.jsonl:2: prefix_block_ids: got 2 full blocks of 16 tokens, expected at most 1");
  expect_refused(workload(""), "w.jsonl: got no request");
  expect_refused(workload("{\"workload\": 1}\n"), "w.jsonl: got no request");
  expect_refused(workload("{\"workload\": 2}\n" + good_), "workload: got version 2, expected 1");
  expect_refused(later(R"({"prompt_tokens":NaN,"output_tokens":5})"), "w.jsonl:2");
}

TEST_F(BadInput, OfServers) {
  const std::string load = "simulate --workload " + file("w.jsonl", good_) + " ";
  expect_refused(load + "--num-gpu-blocks-override 0 --steptime constant:1ms",
                 "--num-gpu-blocks-override: Value 0 not in range");
  expect_refused(
      load + "--num-gpu-blocks-override 64 --max-model-len 512 --steptime constant:9e99s",
      "steptime: got \"9e99s\"");
  expect_refused(
      load + "--num-gpu-blocks-override 64 --max-model-len 512 --steptime linear:1ms,nan,1",
      "steptime: got \"nan\"");
  expect_refused(
      load + "--num-gpu-blocks-override 64 --max-model-len 512 --steptime linear:-1ms,1ms,1ms",
      "steptime: got \"-1ms\"");
  expect_refused(load + server_ + " --request-timeout 0s", "--request-timeout: got \"0s\"");
  expect_refused(load + server_ + " --request-timeout 99999999999h", "--request-timeout: got");
  expect_refused(load + server_ + " --scrape-interval 1ns --replicas 9", "--scrape-interval");
}

TEST_F(BadInput, OfModelFiles) {
  const std::string load = "simulate --workload " + file("w.jsonl", good_) +
                           " --num-gpu-blocks-override 64 --max-model-len 512 --steptime ";
  expect_refused(load + file("m.json", R"({"model": 99})"), "m.json");
  expect_refused(load + file("m.json", "{"), "m.json");
  expect_refused(load + file("m.json", ""), "m.json");
  expect_refused(load + directory_.path() + "/none.json", "none.json");
}

TEST_F(BadInput, OfClusters) {
  const auto cluster = [&](const std::string& text) {
    return "simulate --workload " + file("w.jsonl", good_) + " --cluster " +
           file("c.yaml", "cluster: 1\n" + text);
  };
  const std::string flags = "flags: {num_gpu_blocks_override: 64, max_model_len: 512}";
  const std::string row = "{name: a, steptime: \"constant:1ms\", " + flags + "}";
  expect_refused(cluster("replicas: []\n"), "c.yaml:2: replicas: got none");
  expect_refused(cluster("replicas:\n - {name: a, steptime: \"constant:1ms\", flags: "
                         "{num_gpu_blocks_override: 0}}\n"),
                 "num_gpu_blocks_override: got 0");
  expect_refused(cluster("replicas:\n - {name: a, steptime: \"constant:1ms\", count: 10000, flags: "
                         "{num_gpu_blocks_override: 2147483647}}\n"),
                 "whose account takes about");
  expect_refused(cluster("replicas:\n - " + row +
                         "\noutages:\n - {replica: 0, at: 999999999999h, "
                         "for: 1s}\n"),
                 "c.yaml:5: outages[0].at: got");
  expect_refused(cluster("replicas:\n - {name: a, role: prefill, steptime: \"constant:1ms\", " +
                         flags + "}\n"),
                 "role: got 1 prefill, 0 decode");
  expect_refused(cluster("replicas:\n - " + row +
                         "\ntransfer: {gigabytes_per_s: 0, "
                         "bytes_per_token: 1}\n"),
                 "c.yaml:4: transfer.gigabytes_per_s: got 0, expected more than 0");
  expect_refused(cluster("replicas:\n - " + row + "\nrouter: fastest\n"), "c.yaml:4: router");
}

TEST_F(BadInput, OfPlans) {
  const std::string plan = "plan --workload " + file("w.jsonl", good_) + server_ + " ";
  expect_refused(plan + "--slo ttft:p95:0s", "ttft:p95:0s");
  expect_refused(plan + "--slo ttft:p0:1s", "ttft:p0:1s");
  expect_refused(plan + "--slo ttft:p95:nans", "--slo: got \"nans\", expected a duration");
  expect_refused(plan + "--slo ttft:p95:99999999999999999999s",
                 "--slo: got \"99999999999999999999s\", expected a duration");
  expect_refused("plan --workload " + file("empty.jsonl", "") + server_ + " --slo ttft:p95:1s",
                 "empty.jsonl: got no request");
}

TEST_F(BadInput, OfTables) {
  const std::string folder = directory_.path() + "/operations";
  std::filesystem::create_directory(folder);
  ASSERT_TRUE(write_file_atomic(folder + "/card.yaml",
                                "gpu: {mem_bw: 1.0e12, mem_bw_empirical_scaling_factor: 0.8,\n"
                                "      mem_empirical_constant_latency: 3.0e-6}\n"
                                "node: {intra_node_bw: 4.5e11, p2p_latency: 1.0e-5}\n")
                  .has_value());
  ASSERT_TRUE(
      write_file_atomic(folder + "/card.gemm.bf16.csv", "m,n,k,latency\n1,2,3,nan\n").has_value());
  expect_refused("calibrate --operations " + folder + " --system card --dtype bfloat16 " +
                     "--model-config " + support::source_dir() +
                     "/fixtures/models/shapes/llama-8b/config.json",
                 "card.gemm.bf16.csv:2: latency: got \"nan\", expected a number of at least 0");
}

}  // namespace
}  // namespace touchstone::simulator
