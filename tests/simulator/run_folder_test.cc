#include "simulator/run_folder.h"

#include <gtest/gtest.h>

#include "base/files.h"

namespace touchstone::simulator {
namespace {

class RunFolderTest : public ::testing::Test {
 protected:
  Result<RunFolder> read(const std::string& server, const std::string& requests) {
    EXPECT_TRUE(write_file_atomic(directory_.path() + "/server.json", server).has_value());
    EXPECT_TRUE(write_file_atomic(directory_.path() + "/requests.jsonl", requests).has_value());
    return read_run_folder(directory_.path());
  }
  TemporaryDirectory directory_ = TemporaryDirectory::make("touchstone-run").value();
};

const char kServer[] = R"({"engine":"vllm","flags":{"num_gpu_blocks_override":200,"block_size":32,
  "max_num_seqs":16,"max_num_batched_tokens":512,"max_model_len":1024,
  "enable_prefix_caching":false,"async_scheduling":true,"scheduling_policy":"priority","dtype":"float32"}})";
const char kLine[] = R"({"i":0,"arrival_s":1.5,"sent_unix_ns":5000,"status":200,)"
                     R"("prompt_tokens":2,"output_tokens":3,)"
                     R"("prompt_token_ids":[7,8],"chunk_offsets_ns":[100000000,300000000],)"
                     R"("done_ns":310000000,"usage":{"prompt_tokens":2}})";

TEST_F(RunFolderTest, FlagsRequestsAndLatenciesAreRead) {
  const auto run =
      read(kServer, std::string(kLine) + "\n" + R"({"i":1,"arrival_s":0.5,"status":400})" + "\n");
  ASSERT_TRUE(run.has_value()) << run.error().message;
  EXPECT_EQ(run->config.num_blocks, 200);
  EXPECT_EQ(run->config.block_size, 32);
  EXPECT_FALSE(run->config.enable_prefix_caching);
  EXPECT_TRUE(run->config.async_scheduling);
  EXPECT_TRUE(run->config.enable_chunked_prefill);
  EXPECT_EQ(run->config.policy, scheduler::Policy::kPriority);
  EXPECT_EQ(run->left_out, 1);
  ASSERT_EQ(run->workload.requests.size(), 1u);
  EXPECT_EQ(run->workload.requests[0].arrival_ns, 0);
  EXPECT_DOUBLE_EQ(run->measured[0].ttft_s, 0.1);
  EXPECT_DOUBLE_EQ(*run->measured[0].tpot_s, 0.1);
  EXPECT_DOUBLE_EQ(run->measured[0].e2e_s, 0.31);
}

/// A burst that was sent in one order and reached the server in another: the server's counts, and
/// its clock too, as latencies run from there.
TEST_F(RunFolderTest, RequestsArriveWhenTheirSpansStart) {
  const auto line = [](int i, int64_t sent_ns, const char* trace) {
    return "{\"i\":" + std::to_string(i) + R"(,"arrival_s":0,"status":200,"prompt_tokens":2,)" +
           R"("output_tokens":1,"done_ns":9,"sent_unix_ns":)" + std::to_string(sent_ns) +
           ",\"trace_id\":\"" + trace + "\"}\n";
  };
  const std::string a(32, 'a');
  const std::string b(32, 'b');
  const std::string requests = line(0, 1000, a.c_str()) + line(1, 1500, b.c_str());
  const auto span = [](const std::string& trace, int64_t start_ns) {
    return R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":")" + trace +
           R"(","spanId":"00000000000000a1","name":"llm_request","startTimeUnixNano":")" +
           std::to_string(start_ns) + R"(","endTimeUnixNano":"9999"}]}]}]})" + "\n";
  };
  const std::string path = directory_.path() + "/spans.otlp.jsonl";
  ASSERT_TRUE(write_file_atomic(path, span(a, 3000) + span(b, 2400)).has_value());
  auto run = read(kServer, requests);
  ASSERT_TRUE(run.has_value()) << run.error().message;
  EXPECT_TRUE(run->arrivals_from_spans);
  EXPECT_EQ(run->workload.requests[0].name, "r1");
  EXPECT_EQ(run->workload.requests[1].arrival_ns, 600);

  ASSERT_TRUE(write_file_atomic(path, span(a, 3000)).has_value());
  run = read(kServer, requests);
  EXPECT_FALSE(run->arrivals_from_spans) << "one has no span: both clocks would be mixed";
  EXPECT_EQ(run->workload.requests[0].name, "r0");
  EXPECT_EQ(run->workload.requests[1].arrival_ns, 500);
}

TEST_F(RunFolderTest, BadFilesSayWhere) {
  const std::tuple<std::string, std::string, const char*> rows[] = {
      {"{", kLine, "server.json"},
      {R"({"flags":{"block_size":"32"}})", kLine, "block_size"},
      {R"({"flags":{"num_gpu_blocks_override":0}})", kLine, "num_gpu_blocks_override: got 0"},
      {R"({"flags":{"scheduling_policy":"lifo"}})", kLine, "scheduling_policy"},
      {kServer, "", "requests.jsonl"},
      {kServer, "{\"i\":0", "requests.jsonl:1"},
      {kServer, R"({"i":0,"status":200,"arrival_s":-1})", "arrival_s: got -1"},
      {kServer, R"({"i":0,"status":200,"arrival_s":1e300})", "arrival_s: got 1e+300"},
      {kServer, R"({"i":0,"status":200,"prompt_tokens":1,"output_tokens":1,"done_ns":1})",
       "request 0: sent_unix_ns: got 0"},
      {kServer, R"({"i":0,"status":200,"sent_unix_ns":1,"output_tokens":1,"done_ns":1})",
       "prompt_tokens: got 0"},
      {kServer, R"({"i":0,"status":200,"sent_unix_ns":1,"prompt_tokens":1,"output_tokens":1})",
       "done_ns: got 0"},
      {kServer,
       R"({"i":0,"status":200,"sent_unix_ns":1,"prompt_tokens":3,"output_tokens":1,"done_ns":1,)"
       R"("prompt_token_ids":[1]})",
       "prompt_token_ids: got 1, expected 3 ids"},
  };
  for (const auto& [server, requests, expected] : rows) {
    const auto run = read(server, requests);
    ASSERT_FALSE(run.has_value()) << expected;
    EXPECT_NE(run.error().message.find(expected), std::string::npos) << run.error().message;
  }
}

TEST_F(RunFolderTest, WithoutACompletedRequestNothingCanBeDecided) {
  const auto run = read(kServer, R"({"i":0,"status":400})");
  ASSERT_FALSE(run.has_value());
  EXPECT_EQ(run.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(run.error().message.find("got no completed request"), std::string::npos);
}

}  // namespace
}  // namespace touchstone::simulator
