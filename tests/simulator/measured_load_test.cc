#include <gtest/gtest.h>

#include "base/files.h"
#include "simulator/measured/load.h"

namespace touchstone::simulator {
namespace {

class MeasuredLoadTest : public ::testing::Test {
 protected:
  Result<MeasuredLoad> read(const std::string& server, const std::string& requests) {
    EXPECT_TRUE(write_file_atomic(directory_.path() + "/server.json", server).has_value());
    EXPECT_TRUE(write_file_atomic(directory_.path() + "/requests.jsonl", requests).has_value());
    return read_measured_load(directory_.path());
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

TEST_F(MeasuredLoadTest, FlagsRequestsAndLatenciesAreRead) {
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
  ASSERT_EQ(run->requests.size(), 1u);
  EXPECT_EQ(run->requests[0].request.arrival_ns, 0);
  EXPECT_DOUBLE_EQ(*run->requests[0].times.ttft_s, 0.1);
  EXPECT_DOUBLE_EQ(*run->requests[0].times.tpot_s, 0.1);
  EXPECT_DOUBLE_EQ(*run->requests[0].times.e2e_s, 0.31);
  EXPECT_FALSE(run->requests[0].times.prefill_s.has_value());
  EXPECT_EQ(run->digests.size(), 2u);
}

/// A burst that was sent in one order and reached the server in another: the server's counts, and
/// its clock too, as latencies run from there.
TEST_F(MeasuredLoadTest, RequestsArriveWhenTheirSpansStart) {
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
  EXPECT_EQ(run->notes.front(), "requests arrive when their spans start");
  EXPECT_EQ(run->requests[0].request.name, "r1");
  EXPECT_EQ(run->requests[1].request.arrival_ns, 600);

  ASSERT_TRUE(write_file_atomic(path, span(a, 3000)).has_value());
  run = read(kServer, requests);
  EXPECT_EQ(run->notes.front(), "requests arrive when they were sent: not all have a span")
      << "both clocks would be mixed";
  EXPECT_EQ(run->requests[0].request.name, "r0");
  EXPECT_EQ(run->requests[1].request.arrival_ns, 500);
}

TEST_F(MeasuredLoadTest, BadFilesSayWhere) {
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

TEST_F(MeasuredLoadTest, WithoutACompletedRequestNothingCanBeDecided) {
  const auto run = read(kServer, R"({"i":0,"status":400})");
  ASSERT_FALSE(run.has_value());
  EXPECT_EQ(run.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(run.error().message.find("got no completed request"), std::string::npos);
}

TEST_F(MeasuredLoadTest, WhoHungUpIsThereUntilItWent) {
  const std::string hung_up =
      R"({"i":1,"sent_unix_ns":5500,"status":200,"outcome":"hung_up","prompt_tokens":9,)"
      R"("parameters":{"max_tokens":40},"done_ns":7000})";
  const auto run = read(kServer, std::string(kLine) + "\n" + hung_up + "\n");
  ASSERT_TRUE(run.has_value()) << run.error().message;
  EXPECT_EQ(run->left_out, 0);
  ASSERT_EQ(run->requests.size(), 2u);
  EXPECT_EQ(run->requests[1].request.output_tokens, 40);
  EXPECT_EQ(*run->requests[1].abort_ns, 7500);
  EXPECT_FALSE(run->requests[1].times.e2e_s.has_value());
  const auto source = make_load_source(*run, run->config);
  SimulatedRequest request;
  ASSERT_TRUE(*source->next(request) && *source->next(request));
  EXPECT_EQ(*request.abort_ns, 7500);
  EXPECT_FALSE(*source->next(request));
}

/// One span as vLLM emits it.
std::string vllm_span(const std::string& trace, int64_t start_ns) {
  const auto number = [](const char* key, const char* value) {
    return std::string(R"({"key":")") + key + R"(","value":{"doubleValue":)" + value + "}}";
  };
  return R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":")" + trace +
         R"(","spanId":"00000000000000a1","name":"llm_request","startTimeUnixNano":")" +
         std::to_string(start_ns) + R"(","endTimeUnixNano":"9999","attributes":[)" +
         number("gen_ai.latency.e2e", "1.5") + "," +
         number("gen_ai.latency.time_to_first_token", "0.5") + "," +
         number("gen_ai.latency.time_in_queue", "0.1") + "," +
         number("gen_ai.latency.time_in_model_prefill", "0.3") + "," +
         number("gen_ai.latency.time_in_model_decode", "0.9") + "," +
         R"({"key":"gen_ai.usage.prompt_tokens","value":{"intValue":"7"}},)"
         R"({"key":"gen_ai.usage.completion_tokens","value":{"intValue":"4"}}]}]}]}]})"
         "\n";
}

/// Spans alone are enough: as a folder, or as the Collector's file with server.json beside it.
TEST_F(MeasuredLoadTest, SpansAndServerAreARun) {
  const std::string path = directory_.path() + "/spans.otlp.jsonl";
  const std::string spans =
      vllm_span(std::string(32, 'a'), 3000) + vllm_span(std::string(32, 'b'), 2400);
  ASSERT_TRUE(write_file_atomic(directory_.path() + "/server.json", kServer).has_value());
  ASSERT_TRUE(write_file_atomic(path, spans).has_value());
  for (const std::string& place : {directory_.path(), path}) {
    const auto run = read_measured_load(place);
    ASSERT_TRUE(run.has_value()) << run.error().message;
    ASSERT_EQ(run->requests.size(), 2u);
    EXPECT_EQ(run->requests[1].request.name, std::string(32, 'a'));
    EXPECT_EQ(run->requests[1].request.arrival_ns, 600);
    EXPECT_EQ(run->requests[1].request.prompt_tokens, 7);
    EXPECT_DOUBLE_EQ(*run->requests[1].times.ttft_s, 0.5);
    EXPECT_DOUBLE_EQ(*run->requests[1].times.queue_s, 0.1);
    EXPECT_DOUBLE_EQ(*run->requests[1].times.prefill_s, 0.3);
    EXPECT_DOUBLE_EQ(*run->requests[1].times.tpot_s, 0.3);
  }
}

/// vLLM's own times with its wall clock 100 s and more off the engine's.
TEST_F(MeasuredLoadTest, TimesOfVllmsBenchAreAlignedBySoonestArrival) {
  const std::string meta =
      R"({"vllm_version":"0.19.0","model":"m","engine_kwargs":{"max_num_seqs":4,)"
      R"("max_num_batched_tokens":64,"max_model_len":null,"dtype":"bfloat16"}})";
  const auto line = [](const char* name, double arrival, double queued, double scheduled) {
    return std::string(R"({"request_id":")") + name + R"(","input_toks":20,"output_toks":3,)" +
           R"("arrival_time":)" + std::to_string(arrival) + R"(,"queued_ts":)" +
           std::to_string(queued) + R"(,"scheduled_ts":)" + std::to_string(scheduled) +
           R"(,"first_token_ts":)" + std::to_string(scheduled + 0.5) + R"(,"last_token_ts":)" +
           std::to_string(scheduled + 1.5) + "}\n";
  };
  ASSERT_TRUE(write_file_atomic(directory_.path() + "/meta.json", meta).has_value());
  ASSERT_TRUE(write_file_atomic(directory_.path() + "/requests.jsonl",
                                line("x", 1000, 900.25, 900.5) + line("y", 1001, 901, 901))
                  .has_value());
  const auto run = read_measured_load(directory_.path());
  ASSERT_TRUE(run.has_value()) << run.error().message;
  EXPECT_EQ(run->engine, "vllm 0.19.0");
  EXPECT_TRUE(run->config.async_scheduling);
  EXPECT_EQ(run->config.max_num_seqs, 4);
  ASSERT_EQ(run->requests.size(), 2u);
  EXPECT_EQ(run->requests[1].request.arrival_ns, 1'000'000'000);
  EXPECT_NEAR(*run->requests[0].times.ttft_s, 1.0, 1e-9) << "a quarter to the engine, one in queue";
  EXPECT_NEAR(*run->requests[0].times.queue_s, 0.25, 1e-9);
  EXPECT_NEAR(*run->requests[1].times.ttft_s, 0.5, 1e-9) << "the soonest";
  EXPECT_NEAR(*run->requests[1].times.tpot_s, 0.5, 1e-9);
  EXPECT_TRUE(scheduler::validate(run->config).has_value()) << "its room was worked out";
}

}  // namespace
}  // namespace touchstone::simulator
