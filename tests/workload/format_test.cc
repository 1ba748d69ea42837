#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "tests/support/json_schema.h"
#include "tests/support/memory.h"
#include "workload/reader.h"
#include "workload/workload.h"

namespace touchstone::workload {
namespace {

class WorkloadFile : public ::testing::Test {
 protected:
  Result<Workload> read(const std::string& text) {
    EXPECT_TRUE(write_file_atomic(path_, text).has_value());
    return read_workload(path_);
  }
  TemporaryDirectory directory_ = TemporaryDirectory::make("touchstone-workload").value();
  std::string path_ = directory_.path() + "/w.jsonl";
};

Request full_request() {
  Request r;
  r.name = "all \"fields\"";
  r.arrival_ns = 5;
  r.endpoint = Endpoint::kChat;
  r.stream = true;
  r.messages = {{"system", "Be brief."}, {"user", "Grüße"}};
  r.prompt_tokens = 40;
  r.output_tokens = 7;
  r.prefix_block_ids = {1, INT64_MAX};
  r.prefix_block_size = 16;
  r.session = "s";
  r.turn = 2;
  r.think_ns = 1'500;
  r.timeout_ns = 30'000'000'000;
  r.adapter = "law";
  r.tenant = "t";
  r.priority = -3;
  r.sampling = {.temperature = 0.7,
                .top_p = 0.9,
                .top_k = 5,
                .seed = -1,
                .n = 2,
                .min_tokens = 3,
                .ignore_eos = false,
                .stop = {"\n", "."}};
  r.hang_up_after_chunks = 4;
  r.expect_status = 400;
  return r;
}

TEST_F(WorkloadFile, WhatIsWrittenIsReadBackEqual) {
  Request ids;
  ids.name = "ids";
  ids.arrival_ns = 6;
  ids.prompt_token_ids = {1, 2, 3};
  ids.prompt_tokens = 3;
  ids.output_tokens = 1;
  Request raw;
  raw.name = "raw";
  raw.arrival_ns = 6;
  raw.raw_body = "{not json";
  const Workload written{{full_request(), ids, raw}};
  ASSERT_TRUE(write_workload(written, path_).has_value());
  const Result<Workload> got = read_workload(path_);
  ASSERT_TRUE(got.has_value()) << got.error().message;
  ASSERT_EQ(got->requests.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(to_json_line(got->requests[i]), to_json_line(written.requests[i]));
  }
  const Request& r = got->requests[0];
  EXPECT_EQ(r.messages[1].content, "Grüße");
  EXPECT_EQ(r.prefix_block_ids[1], static_cast<uint64_t>(INT64_MAX));
  EXPECT_EQ(r.sampling.ignore_eos, false);
  EXPECT_EQ(got->requests[2].raw_body, "{not json");
}

TEST_F(WorkloadFile, NamesAndDefaultsAreFilledIn) {
  const auto w = read("{\"prompt\":\"a\"}\n{\"prompt_token_ids\":[4,5]}");
  ASSERT_TRUE(w.has_value()) << w.error().message;
  EXPECT_EQ(w->requests[0].name, "r0000");
  EXPECT_EQ(w->requests[1].name, "r0001");
  EXPECT_EQ(w->requests[1].prompt_tokens, 2);
  EXPECT_EQ(w->requests[0].expect_status, 200);
}

TEST_F(WorkloadFile, BadRowsSayWhereAndWhat) {
  const std::string ok = "{\"name\":\"a\",\"arrival_ns\":9,\"prompt\":\"a\"}\n";
  const std::pair<std::string, std::string> rows[] = {
      {"", ":0"},
      {"{\"workload\":1}\n", ": got no request"},
      {"{\"workload\":2}\n", ":1: workload: got version 2, expected 1"},
      {ok + "{", ":2: "},
      {ok + "[]", ":2: "},
      {ok + "{}", ":2: got no prompt"},
      {ok + "{\"prompt\":\"b\",\"arrival_ns\":8}", ":2: arrival_ns: got 8, expected at least 9"},
      {ok + "{\"prompt\":\"b\",\"arrival_ns\":-1}", ":2: arrival_ns: got -1"},
      {ok + "{\"prompt\":\"b\",\"arrival_ns\":9.5}", ":2: arrival_ns: "},
      {ok + "{\"name\":\"a\",\"prompt\":\"b\",\"arrival_ns\":9}", ":2: name: got \"a\" twice"},
      {"{\"promt\":\"b\",\"prompt_tokens\":3}", "promt"},
      {"{\"prompt\":\"b\",\"prompt_token_ids\":[1]}", ":1: got 2 of prompt"},
      {"{\"prompt\":\"b\",\"endpoint\":\"chat\"}", "endpoint: got \"chat\" with a prompt"},
      {"{\"messages\":[{\"role\":\"u\",\"content\":\"c\"}]}", "endpoint: got messages"},
      {"{\"messages\":[{\"role\":\"u\"}],\"endpoint\":\"chat\"}", "content"},
      {"{\"prompt\":\"b\",\"endpoint\":\"embed\"}", "endpoint"},
      {"{\"prompt_token_ids\":[-1]}", "prompt_token_ids: got -1"},
      {"{\"prompt_token_ids\":[1,2],\"prompt_tokens\":3}", "prompt_tokens: got 3, expected 2"},
      {"{\"prompt_tokens\":20,\"prefix_block_ids\":[1,2],\"prefix_block_size\":16}",
       "prefix_block_ids: got 2 full blocks"},
      {"{\"prompt_tokens\":20,\"prefix_block_ids\":[1]}", "prefix_block_size: got 0"},
      {"{\"prompt_tokens\":20,\"prefix_block_ids\":[-1],\"prefix_block_size\":16}",
       "prefix_block_ids: got -1"},
      {"{\"prompt_tokens\":20,\"output_tokens\":-4}", "output_tokens: got -4"},
      {"{\"prompt\":\"b\",\"hang_up_after_chunks\":2}", "hang_up_after_chunks: got it without"},
      {"{\"prompt\":\"b\",\"expect_status\":20}", "expect_status: got 20"},
      {"{\"prompt\":\"b\",\"sampling\":{\"n\":0}}", "n: got 0"},
      {"{\"prompt\":\"b\",\"sampling\":{\"temprature\":1}}", "temprature"},
  };
  for (const auto& [text, expected] : rows) {
    const auto w = read(text);
    if (text.empty()) {
      EXPECT_FALSE(w.has_value());
      continue;
    }
    ASSERT_FALSE(w.has_value()) << text;
    EXPECT_EQ(w.error().code, ErrorCode::kInvalidArgument) << text;
    EXPECT_NE(w.error().message.find(path_), std::string::npos) << w.error().message;
    EXPECT_NE(w.error().message.find(expected), std::string::npos) << text << "\n"
                                                                   << w.error().message;
  }
}

/// The requests would take about ten times as much.
TEST_F(WorkloadFile, AReaderNeedsNoMemoryForALongFile) {
  constexpr int kLines = 40'000;
  std::string text;
  for (int i = 0; i < kLines; ++i) {
    text += "{\"name\":\"a request with a long name, number " + std::to_string(i) +
            "\",\"arrival_ns\":" + std::to_string(i) + ",\"prompt_tokens\":9}\n";
  }
  ASSERT_TRUE(write_file_atomic(path_, text).has_value());
  text = {};
  const auto reader = WorkloadReader::open(path_);
  ASSERT_TRUE(reader.has_value());
  Request request;
  ASSERT_TRUE((*reader)->next(request).value());
  const int64_t before = support::resident_bytes();
  int count = 1;
  while ((*reader)->next(request).value()) ++count;
  EXPECT_EQ(count, kLines);
  EXPECT_LT(support::resident_bytes() - before, 2 << 20);
}

TEST_F(WorkloadFile, AMissingFileIsNotFound) {
  const auto w = read_workload(directory_.path() + "/none.jsonl");
  ASSERT_FALSE(w.has_value());
  EXPECT_EQ(w.error().code, ErrorCode::kNotFound);
}

TEST_F(WorkloadFile, EveryTruncationOfALineIsRefused) {
  const std::string line = to_json_line(full_request());
  for (size_t size = 1; size < line.size(); ++size) {
    EXPECT_FALSE(read(line.substr(0, size)).has_value()) << size;
  }
}

TEST(WorkloadSchema, TakesWhatIsWrittenAndRefusesWhatTheReaderRefuses) {
  constexpr char kSchema[] = "workload/workload.schema.json";
  Request all = full_request();
  all.prompt = "p";
  const auto written = nlohmann::json::parse(to_json_line(all));
  EXPECT_EQ(support::schema_problems(kSchema, written), std::vector<std::string>());
  for (const char* key : {"colour", "promt"}) {
    auto odd = written;
    odd[key] = 1;
    EXPECT_NE(support::schema_problems(kSchema, odd), std::vector<std::string>()) << key;
  }
  auto odd = written;
  odd["arrival_ns"] = -1;
  EXPECT_NE(support::schema_problems(kSchema, odd), std::vector<std::string>());
  odd = written;
  odd["sampling"]["temprature"] = 1;
  EXPECT_NE(support::schema_problems(kSchema, odd), std::vector<std::string>());
}

}  // namespace
}  // namespace touchstone::workload
