// Published and recorded traces as workloads: the shipped samples, and every way to be wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/files.h"
#include "base/sha256.h"
#include "base/text.h"
#include "tests/support/paths.h"
#include "workload/traces/trace.h"
#include "workload/workload.h"

namespace touchstone::workload {
namespace {

using ::testing::HasSubstr;

const std::string kTraces = support::source_dir() + "/fixtures/traces/";

struct Read {
  std::vector<Request> requests;
  std::string left_out;
  std::string error;  ///< empty: none
};

Read read(const std::string& path, const std::string& format = "", TraceOptions options = {}) {
  Read result;
  auto reader = open_trace(path, format, options);
  if (!reader) {
    EXPECT_EQ(reader.error().code, ErrorCode::kInvalidArgument);
    result.error = reader.error().message;
    return result;
  }
  Request request;
  for (;;) {
    const auto there = (*reader)->next(request);
    if (!there) {
      EXPECT_EQ(there.error().code, ErrorCode::kInvalidArgument);
      result.error = there.error().message;
      return result;
    }
    if (!*there) break;
    result.requests.push_back(request);
  }
  result.left_out = (*reader)->left_out();
  return result;
}

class Traces : public ::testing::Test {
 protected:
  std::string file(const std::string& text, const std::string& name = "trace") {
    const std::string path = directory_.path() + "/" + name;
    EXPECT_TRUE(write_file_atomic(path, text).has_value());
    return path;
  }
  TemporaryDirectory directory_ = TemporaryDirectory::make("touchstone-traces").value();
};

TEST_F(Traces, SamplesAreThoseOfTheirChecksums) {
  const auto sums = read_file(kTraces + "SHA256SUMS");
  ASSERT_TRUE(sums.has_value());
  int files = 0;
  for (const std::string& line : split(*sums, '\n')) {
    if (line.empty()) continue;
    EXPECT_EQ(file_sha256_hex(kTraces + line.substr(66)).value(), line.substr(0, 64)) << line;
    ++files;
  }
  EXPECT_GE(files, 11);
}

TEST_F(Traces, EverySampleIsToldByItsContentAndReadToItsEnd) {
  struct Row {
    const char* path;
    size_t requests;
    int64_t prompt_tokens;  ///< of the second request
    int64_t output_tokens;
    int64_t arrival_ns;
    const char* left_out;
  };
  const Row rows[] = {
      {"traces/azure/code.csv", 300, 3180, 8, 52'000'000, ""},
      {"traces/burstgpt/sample.csv", 5, 1087, 230, 40'000'000'000,
       "1 request without a prompt or an answer"},
      {"traces/mooncake/conversation.jsonl", 120, 7322, 490, 0, ""},
      {"traces/vllm-bench/result.json", 3, 100, 32, 375'000'000,
       "1 request without a prompt or an answer"},
      {"traces/guidellm/benchmarks.json", 2, 64, 20, 499'999'744,
       "1 request without a prompt or an answer"},
      {"traces/weka", 12, 11443, 280, 6'000'000'000, ""},
  };
  for (const Row& row : rows) {
    const Read trace = read(support::source_dir() + "/fixtures/" + row.path);
    EXPECT_EQ(trace.error, "") << row.path;
    ASSERT_EQ(trace.requests.size(), row.requests) << row.path;
    EXPECT_EQ(trace.requests[0].arrival_ns, 0) << row.path;
    EXPECT_EQ(trace.requests[1].prompt_tokens, row.prompt_tokens) << row.path;
    EXPECT_EQ(trace.requests[1].output_tokens, row.output_tokens) << row.path;
    EXPECT_EQ(trace.requests[1].arrival_ns, row.arrival_ns) << row.path;
    EXPECT_EQ(trace.left_out, row.left_out) << row.path;
  }
}

TEST_F(Traces, WhatIsConvertedIsAWorkload) {
  for (const char* name : {"azure/code.csv", "mooncake/conversation.jsonl", "weka", "servegen"}) {
    Workload workload;
    workload.requests = read(kTraces + name).requests;
    const std::string path = directory_.path() + "/w.jsonl";
    ASSERT_TRUE(write_workload(workload, path).has_value());
    const auto again = read_workload(path);
    ASSERT_TRUE(again.has_value()) << again.error().message;
    ASSERT_EQ(again->requests.size(), workload.requests.size());
    for (size_t i = 0; i < again->requests.size(); ++i) {
      EXPECT_EQ(to_json_line(again->requests[i]), to_json_line(workload.requests[i]));
    }
  }
}

TEST_F(Traces, SpansOfAServerAreItsRequests) {
  const Read trace = read(support::source_dir() + "/fixtures/spans/vllm-0.32.0/spans.otlp.jsonl");
  EXPECT_EQ(trace.error, "");
  ASSERT_GT(trace.requests.size(), 20u);
  int64_t before_ns = 0;
  for (const Request& request : trace.requests) {
    EXPECT_GE(request.arrival_ns, before_ns);
    before_ns = request.arrival_ns;
    EXPECT_GE(request.prompt_tokens, 1);
    EXPECT_GE(request.output_tokens, 1);
  }
}

std::string span(const char* name, int kind, const char* attributes) {
  return std::string(R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":)") +
         R"("0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","name":")" + name +
         R"(","kind":)" + std::to_string(kind) +
         R"(,"startTimeUnixNano":"1000","endTimeUnixNano":"2000","attributes":[)" + attributes +
         "]}]}]}]}\n";
}

TEST_F(Traces, AServersSpansGoBeforeTheirClients) {
  const char* tokens = R"({"key":"gen_ai.usage.input_tokens","value":{"intValue":"7"}},)"
                       R"({"key":"gen_ai.usage.output_tokens","value":{"intValue":"3"}})";
  const std::string client = span("chat", 3, tokens);
  const Read both = read(file(client + span("POST", 2, tokens)));
  ASSERT_EQ(both.requests.size(), 1u);
  EXPECT_EQ(both.left_out, "1 spans that are no requests of the server");
  EXPECT_EQ(read(file(client)).requests.size(), 1u) << "a client's span is better than none";
  EXPECT_THAT(read(file(span("chat", 3, ""))).error,
              HasSubstr("got 1 spans, none with the tokens of a prompt and of an answer"));
}

TEST_F(Traces, SessionsOfACodingAgentKeepTheirBlocksAndTurns) {
  const Read trace = read(kTraces + "weka", "", {.session_gap_ns = 1'000'000'000'000});
  std::map<std::string, std::vector<Request>> sessions;
  for (const Request& request : trace.requests) sessions[request.session].push_back(request);
  ASSERT_EQ(sessions.size(), 4u) << "three sessions, one of them with a sub-agent";
  const auto starts = [&](const char* name) { return sessions.at(name)[0].arrival_ns; };
  EXPECT_EQ(starts("trace_0187"), 0);
  EXPECT_EQ(starts("trace_0291"), 1'000'000'000'000);
  for (const auto& [name, turns] : sessions) {
    EXPECT_FALSE(turns[0].think_ns.has_value());
    for (size_t i = 1; i < turns.size(); ++i) {
      EXPECT_EQ(turns[i].turn, static_cast<int64_t>(i));
      EXPECT_TRUE(turns[i].think_ns.has_value());
      EXPECT_EQ(turns[i].prefix_block_ids[0], turns[0].prefix_block_ids[0]) << name;
    }
  }
  EXPECT_NE(sessions.at("trace_0187")[0].prefix_block_ids[0],
            sessions.at("trace_0504")[0].prefix_block_ids[0])
      << "ids are known within their session only";
}

TEST_F(Traces, ServeGenDrawsItsRatesAndLengthsFromTheSeed) {
  const Read trace = read(kTraces + "servegen");
  const Read again = read(kTraces + "servegen");
  const Read other = read(kTraces + "servegen", "", {.seed = 1});
  ASSERT_EQ(trace.requests.size(), again.requests.size());
  EXPECT_EQ(to_json_line(trace.requests.back()), to_json_line(again.requests.back()));
  EXPECT_NE(to_json_line(trace.requests.back()), to_json_line(other.requests.back()));
  // 997 requests of chunk-39 and a few of chunk-24 by the rates of their windows.
  EXPECT_NEAR(static_cast<double>(trace.requests.size()), 1004, 280)
      << "three deviations of a load whose gaps vary threefold";
  EXPECT_EQ(trace.requests[trace.requests.size() / 2].tenant, "chunk-39");
}

TEST_F(Traces, WhatIsWrongIsNamedWithFileLineAndField) {
  const std::string azure = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
  const std::string burst = "Timestamp,Model,Request tokens,Response tokens,Total tokens\n";
  const std::pair<std::string, const char*> rows[] = {
      {azure + "2023-11-16 18:15:46.68,1,2\n2023-13-16 18:15:46.68,1,2\n",
       ":3: TIMESTAMP: got \"2023-13-16 18:15:46.68\", expected a date"},
      {azure + "2023-11-16 18:15:46.68,x,2\n", ":2: ContextTokens: got \"x\", expected tokens"},
      {azure + "2023-11-16 18:15:46.68,1,-2\n", ":2: GeneratedTokens: got \"-2\""},
      {azure + "2023-11-16 18:15:46.68,1,1e300\n", ":2: GeneratedTokens: got \"1e300\""},
      {azure + "2023-11-16 18:15:46.68,1\n", ":2: got 2 fields, expected TIMESTAMP"},
      {azure + "2023-11-16 18:15:46.68,1,2\n2023-11-16 18:15:46.67,1,2\n",
       ":3: TIMESTAMP: got a time 10 ms before that of the request before"},
      {azure + "\"2023\",1,2\n", ":2: got a quoted field"},
      {burst + "-5,GPT-4,1,2,3\n", ":2: Timestamp: got \"-5\", expected seconds, 0 or later"},
      {burst + "nan,GPT-4,1,2,3\n", ":2: Timestamp: got \"nan\""},
      {burst + "1e300,GPT-4,1,2,3\n", ":2: Timestamp: got \"1e300\""},
      {R"({"timestamp": -1, "input_length": 1, "output_length": 1})", ":1: timestamp: got -1"},
      {R"({"timestamp": 0, "input_length": 1, "output_length": "x"})", ":1: output_length: got"},
      {R"({"timestamp": 0, "input_length": 600, "output_length": 1, "hash_ids": [1]})",
       ":1: hash_ids: got 1 ids, expected 2 for 600 tokens in blocks of 512"},
      {R"({"timestamp": 0, "input_length": 5, "output_length": 1, "hash_ids": [-1]})",
       ":1: hash_ids: got a negative id"},
      {R"({"timestamp": 9223372036854775807, "input_length": 5, "output_length": 1})",
       ":1: timestamp: got 9223372036854775807"},
      {R"({"timestamp": 0, "input_length": 5,)", ":1: "},
      {R"({"num_prompts": 1, "request_rate": 1, "input_lens": [1], "output_lens": [1]})",
       ": start_times: got no list"},
      {R"({"num_prompts": 1, "request_rate": 1, "input_lens": [1], "output_lens": [1, 2],
           "start_times": [0]})",
       ": output_lens: got 2 values, expected 1"},
      {R"({"num_prompts": 1, "request_rate": 1, "input_lens": [-1], "output_lens": [1],
           "start_times": [0]})",
       ": input_lens[0]: got -1, expected tokens"},
      {R"({"num_prompts": 1, "request_rate": 1, "input_lens": [1], "output_lens": [1],
           "start_times": [-3]})",
       ": start_times[0]: got -3, expected seconds"},
      {R"({"guidellm_version": "0.5.0", "benchmarks": []})", ": benchmarks: got no request"},
      {R"({"id": "a", "block_size": 64, "hash_id_scope": "local", "requests":
           [{"t": 0, "type": "n", "in": 64, "out": 1, "hash_ids": [1, 2]}]})",
       "hash_ids: got 2 full blocks, expected at most 1 in 64 tokens"},
      {R"({"id": "a", "block_size": 0, "hash_id_scope": "local", "requests": []})",
       "block_size: got 0, expected 1 to"},
  };
  for (const auto& [text, expected] : rows) {
    const Read trace = read(file(text));
    EXPECT_THAT(trace.error, HasSubstr(expected)) << text;
    EXPECT_THAT(trace.error, HasSubstr(directory_.path())) << text;
  }
  EXPECT_THAT(read(file("x"), "azur").error, HasSubstr("got \"azur\", expected one of azure"));
  EXPECT_THAT(read(file(""), "azure").error, HasSubstr("got the header \"\""));
}

TEST_F(Traces, BadWindowsOfServeGenAreNamed) {
  const std::string lengths = R"({"0": {"input_tokens": "{5: 1.0}", "output_tokens": "{7: 1.0}"}})";
  const std::tuple<std::string, std::string, const char*> rows[] = {
      {"0,1,1,Gamma,1\n", lengths, "chunk-1-trace.csv:1: got 5 fields"},
      {"0,1,1,Pareto,1,1\n", lengths, "chunk-1-trace.csv:1: field 4: got \"Pareto\""},
      {"0,-1,1,Gamma,1,1\n", lengths, "chunk-1-trace.csv:1: field 2: got \"-1\""},
      {"0,1,1,Gamma,nan,1\n", lengths, "chunk-1-trace.csv:1: field 5: got \"nan\""},
      {"600,1,1,Gamma,1,1\n0,1,1,Gamma,1,1\n", lengths, ":2: field 1: got \"0\""},
      {"0,1,1,Gamma,1,1\n", R"({"0": {"input_tokens": "{5}", "output_tokens": "{}"}})",
       "0: input_tokens: got \"5\", expected length: share"},
      {"0,1,1,Gamma,1,1\n", R"({"x": {}})", "got the key \"x\", expected seconds"},
  };
  for (const auto& [windows, distributions, expected] : rows) {
    file(windows, "chunk-1-trace.csv");
    file(distributions, "chunk-1-dataset.json");
    EXPECT_THAT(read(directory_.path()).error, HasSubstr(expected)) << windows;
  }
}

}  // namespace
}  // namespace touchstone::workload
