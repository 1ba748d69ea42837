// What a simulation leaves is a run folder as any server's: judged, simulated again, learned from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"
#include "records/ledger.h"
#include "records/request_record.h"
#include "simulator/measured/load.h"
#include "tests/simulator/verb.h"

namespace touchstone::simulator {
namespace {

using ::testing::HasSubstr;

class RunFolderOfASimulation : public ::testing::Test {
 protected:
  void SetUp() override {
    const Ran ran = run_touchstone(
        "simulate --requests 40 --rate 8 --num-gpu-blocks-override 300 --max-model-len 1024 "
        "--block-size 32 --max-num-seqs 6 --hang-up-percent 20 --steptime linear:9ms,50us,400us "
        "--output " +
            folder_,
        kMessages);
    ASSERT_EQ(ran.exit_code, 0) << ran.text;
  }
  TemporaryDirectory directory_ = TemporaryDirectory::make("touchstone-folder").value();
  const std::string folder_ = directory_.path() + "/run";
};

TEST_F(RunFolderOfASimulation, SaysWhichServerItWasAndWhatItsClientsSaw) {
  const auto ledger = records::read_ledger(folder_ + "/requests.jsonl");
  ASSERT_TRUE(ledger.has_value()) << ledger.error().message;
  const auto records = records::read_request_records(folder_ + "/records.jsonl");
  ASSERT_TRUE(records.has_value());
  ASSERT_EQ(ledger->size(), 40u);
  int hung_up = 0;
  for (size_t i = 0; i < ledger->size(); ++i) {
    const records::LedgerEntry& e = (*ledger)[i];
    const records::RequestRecord& r = (*records)[i];
    EXPECT_EQ(e.response_id, r.request_id);
    ASSERT_TRUE(r.trace.has_value());
    EXPECT_EQ(e.trace_id, r.trace->trace_id) << "its span is in the client's trace";
    hung_up += e.outcome == records::ClientOutcome::kHungUp;
    EXPECT_EQ(std::ssize(e.chunk_offsets_ns), r.completion_tokens);
    EXPECT_EQ(e.chunk_offsets_ns.front(), *r.first_token_ns - r.arrival_ns);
    EXPECT_EQ(e.chunk_offsets_ns.back(), *r.last_token_ns - r.arrival_ns);
    EXPECT_TRUE(std::is_sorted(e.chunk_offsets_ns.begin(), e.chunk_offsets_ns.end()));
  }
  EXPECT_GT(hung_up, 2);
  const std::string server = read_file(folder_ + "/server.json").value();
  EXPECT_THAT(server, HasSubstr("\"engine\": \"touchstone simulate\""));
  EXPECT_THAT(server, HasSubstr("\"max_num_seqs\": 6"));
  EXPECT_THAT(server, HasSubstr("\"max_model_len\": 1024"));
}

TEST_F(RunFolderOfASimulation, IsJudgedLikeAServersAndEachRequestIsAccountedFor) {
  const Ran judged =
      run_touchstone("check --run " + folder_ + " --output " + directory_.path() + "/report");
  EXPECT_EQ(judged.exit_code, 0) << judged.text;
  EXPECT_THAT(judged.text, HasSubstr("PASS")) << judged.text;
  // A span that is lost is found by the ledger.
  std::string spans = read_file(folder_ + "/spans.otlp.jsonl").value();
  const Ran audit = run_touchstone("audit --profile vllm-v1 --file " + folder_ +
                                   "/spans.otlp.jsonl --ledger " + folder_ + "/requests.jsonl");
  EXPECT_EQ(audit.exit_code, 0) << audit.text;
}

TEST_F(RunFolderOfASimulation, IsSimulatedAgainWithAndWithoutItsStepLog) {
  const Ran logged = run_touchstone("simulate --run " + folder_ + " --compare");
  EXPECT_EQ(logged.exit_code, 0) << logged.text;
  EXPECT_THAT(logged.text, HasSubstr("recorded"));
  for (const char* file : {"steps.jsonl", "records.jsonl"}) {
    std::filesystem::remove(folder_ + "/" + file);
  }
  const auto load = read_measured_load(folder_);
  ASSERT_TRUE(load.has_value()) << load.error().message;
  EXPECT_EQ(load->config.block_size, 32);
  EXPECT_EQ(load->config.max_model_len, 1024);
  EXPECT_EQ(load->config.num_blocks, 300);
  EXPECT_EQ(load->requests.size(), 40u);
  const Ran again = run_touchstone("simulate --run " + folder_ +
                                   " --steptime linear:9ms,50us,400us --compare --format json");
  EXPECT_EQ(again.exit_code, 0) << again.text;
}

TEST(RunFoldersOfACluster, EachReplicaIsAServerAndWhatNoneServedIsBesideThem) {
  TemporaryDirectory directory = TemporaryDirectory::make("touchstone-folders").value();
  const std::string cluster = directory.path() + "/c.yaml";
  ASSERT_TRUE(write_file_atomic(
                  cluster,
                  "cluster: 1\nreplicas:\n"
                  "  - {name: p, role: prefill, steptime: \"linear:9ms,50us,400us\",\n"
                  "     flags: {num_gpu_blocks_override: 300, max_model_len: 1024}}\n"
                  "  - {name: d, role: decode, count: 2, steptime: \"linear:9ms,50us,400us\",\n"
                  "     flags: {num_gpu_blocks_override: 300, max_model_len: 1024}}\n"
                  "transfer: {gigabytes_per_s: 10, bytes_per_token: 131072, latency: 1ms}\n"
                  "in_flight_max: 3\nqueue_max: 2\n")
                  .has_value());
  const std::string folder = directory.path() + "/run";
  const Ran ran = run_touchstone("simulate --requests 60 --rate 40 --cluster " + cluster +
                                 " --output " + folder);
  ASSERT_EQ(ran.exit_code, 0) << ran.text;
  EXPECT_THAT(ran.text, HasSubstr("requests refused"));
  int64_t served = 0;
  for (const char* replica : {"/replica-0", "/replica-1", "/replica-2"}) {
    const auto load = read_measured_load(folder + replica);
    ASSERT_TRUE(load.has_value()) << load.error().message;
    const Ran replayed = run_touchstone("simulate --steptime recorded --run " + folder + replica);
    EXPECT_EQ(replayed.exit_code, 0) << replayed.text;
    const bool prefill = replica == std::string("/replica-0");
    if (!prefill) served += std::ssize(load->requests);
  }
  const auto lost = records::read_ledger(folder + "/requests.jsonl");
  ASSERT_TRUE(lost.has_value()) << lost.error().message;
  for (const records::LedgerEntry& e : *lost) {
    EXPECT_EQ(e.outcome, records::ClientOutcome::kRefused);
    EXPECT_EQ(e.status, 503);
  }
  EXPECT_EQ(served + std::ssize(*lost), 60);
}

}  // namespace
}  // namespace touchstone::simulator
