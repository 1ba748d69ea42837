#include "harness/load/exchange.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace touchstone::harness {
namespace {

using records::ClientOutcome;
using records::LedgerEntry;

std::vector<std::string> events(const std::vector<std::string>& pieces) {
  http::SseParser parser;
  std::vector<std::string> found;
  for (const std::string& piece : pieces) {
    parser.feed(piece, [&](std::string_view data) {
      found.emplace_back(data);
      return true;
    });
  }
  return found;
}

TEST(Sse, ReadsDataAndSkipsTheRest) {
  const struct {
    std::string stream;
    std::vector<std::string> expected;
  } rows[] = {
      {"", {}},
      {"data: a\n\n", {"a"}},
      {"data:a\n\n", {"a"}},
      {"data: a\r\n\r\ndata: b\r\n\r\n", {"a", "b"}},
      {"data: a\r\rdata: b\r\r", {"a", "b"}},
      {"data: a\ndata: b\n\n", {"a\nb"}},
      {": comment\n\nevent: x\nid: 3\ndata: a\n\n", {"a"}},
      {"data\n\n", {}},
      {"data: a\n", {}},  // no empty line: the event has not ended
      {"data:  two spaces\n\n", {" two spaces"}},
      {"data: {\"x\": \"a\\n\"}\n\n\n\n", {"{\"x\": \"a\\n\"}"}},
  };
  for (const auto& row : rows) EXPECT_EQ(events({row.stream}), row.expected) << quote(row.stream);
}

RC_GTEST_PROP(Sse, DoesNotDependOnHowTheBytesWereCut, (const std::vector<std::string>& texts)) {
  std::string stream;
  std::vector<std::string> expected;
  for (std::string text : texts) {
    std::erase_if(text, [](char byte) { return byte == '\n' || byte == '\r'; });
    stream += "data: " + text + (text.size() % 2 == 0 ? "\r\n\r\n" : "\n\n");
    expected.push_back(text);
  }
  std::vector<std::string> pieces;
  for (size_t at = 0; at < stream.size();) {
    const size_t size = *rc::gen::inRange<size_t>(1, 9);
    pieces.push_back(stream.substr(at, size));
    at += size;
  }
  RC_ASSERT(events(pieces) == expected);
}

TEST(Sse, StopsWhereItIsToldTo) {
  http::SseParser parser;
  int seen = 0;
  parser.feed("data: a\n\ndata: b\n\n", [&](std::string_view) { return ++seen < 1; });
  EXPECT_EQ(seen, 1);
}

nlohmann::json body_of(const workload::Request& request) {
  return nlohmann::json::parse(request_body(request, "tiny", 1000).text);
}

TEST(RequestBody, SaysOnlyWhatTheWorkloadSays) {
  workload::Request request;
  request.prompt = "Once";
  request.output_tokens = 8;
  EXPECT_EQ(body_of(request),
            (nlohmann::json{{"model", "tiny"}, {"prompt", "Once"}, {"max_tokens", 8}}));
  request.stream = true;
  request.sampling.temperature = 0.5;
  request.sampling.top_k = 4;
  request.sampling.seed = 7;
  request.sampling.n = 2;
  request.sampling.stop = {"\n"};
  request.tenant = "acme";
  EXPECT_EQ(body_of(request), (nlohmann::json{{"model", "tiny"},
                                              {"prompt", "Once"},
                                              {"max_tokens", 8},
                                              {"stream", true},
                                              {"stream_options", {{"include_usage", true}}},
                                              {"temperature", 0.5},
                                              {"top_k", 4},
                                              {"seed", 7},
                                              {"n", 2},
                                              {"stop", {"\n"}},
                                              {"user", "acme"}}));
}

TEST(RequestBody, ChatTokensAndRawBodies) {
  workload::Request chat;
  chat.endpoint = workload::Endpoint::kChat;
  chat.messages = {{"user", "Hello"}};
  EXPECT_EQ(body_of(chat)["messages"],
            (nlohmann::json::array({{{"role", "user"}, {"content", "Hello"}}})));
  workload::Request tokens;
  tokens.prompt_token_ids = {5, 6, 7};
  EXPECT_EQ(body_of(tokens)["prompt"], (nlohmann::json{5, 6, 7}));
  workload::Request raw;
  raw.raw_body = "{not json";
  EXPECT_EQ(request_body(raw, "tiny", 1000).text, "{not json");
  raw.raw_body = R"({"model": "${model}", "max_tokens": 4, "x": "${model}"})";
  const RequestBody body = request_body(raw, "tiny", 1000);
  EXPECT_EQ(body.text, R"({"model": "tiny", "max_tokens": 4, "x": "tiny"})");
  EXPECT_EQ(body.parameters.max_tokens, 4);
}

TEST(RequestBody, ATraceWithoutTextGetsEqualTokensForEqualPrefixBlocks) {
  workload::Request one;
  one.name = "one";
  one.prompt_tokens = 40;
  one.prefix_block_ids = {11, 12};
  one.prefix_block_size = 16;
  workload::Request two = one;
  two.name = "two";
  const auto first = body_of(one)["prompt"].get<std::vector<int>>();
  const auto second = body_of(two)["prompt"].get<std::vector<int>>();
  ASSERT_EQ(first.size(), 40u);
  ASSERT_EQ(second.size(), 40u);
  EXPECT_TRUE(std::equal(first.begin(), first.begin() + 32, second.begin()));
  EXPECT_NE(first, second) << "what follows the shared blocks must differ";
  for (const int id : first) {
    EXPECT_GE(id, 16);
    EXPECT_LT(id, 1000);
  }
}

records::LedgerEntry streamed(const std::vector<std::string>& chunks, int64_t hang_up_after = -1) {
  records::LedgerEntry entry;
  ResponseReader reader(entry, hang_up_after, true);
  reader.on_status(200, true);
  int64_t offset = 0;
  for (const std::string& chunk : chunks) {
    if (!reader.on_body("data: " + chunk + "\n\n", offset += 10)) return entry;
  }
  reader.on_end(offset + 1);
  return entry;
}

TEST(ResponseReader, AStreamGivesTimesTextReasonAndUsage) {
  const records::LedgerEntry entry = streamed(
      {R"({"id":"cmpl-1","choices":[{"index":0,"text":"Once"}]})",
       R"({"id":"cmpl-1","choices":[{"index":0,"text":" upon","finish_reason":"length"}]})",
       R"({"id":"cmpl-1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,)"
       R"("prompt_tokens_details":{"cached_tokens":1}}})",
       "[DONE]"});
  EXPECT_EQ(entry.outcome, records::ClientOutcome::kCompleted);
  EXPECT_EQ(entry.text, "Once upon");
  EXPECT_EQ(entry.response_id, "cmpl-1");
  EXPECT_EQ(entry.finish_reasons, std::vector<std::string>{"length"});
  EXPECT_EQ(entry.first_chunk_ns, 10);
  EXPECT_EQ(entry.chunk_offsets_ns, (std::vector<int64_t>{10, 20}));
  EXPECT_EQ(entry.done_ns, 41);
  ASSERT_TRUE(entry.usage);
  EXPECT_EQ(entry.usage->completion_tokens, 2);
  EXPECT_EQ(entry.usage->cached_tokens, 1);
}

TEST(ResponseReader, TheRoleChunkOfAChatIsNotAToken) {
  const records::LedgerEntry entry = streamed(
      {R"({"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]})",
       R"({"choices":[{"index":0,"delta":{"content":"Hi"}}]})",
       R"({"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}]})", "[DONE]"});
  EXPECT_EQ(entry.outcome, records::ClientOutcome::kCompleted);
  EXPECT_EQ(entry.chunk_offsets_ns, (std::vector<int64_t>{20}));
  EXPECT_EQ(entry.finish_reasons, std::vector<std::string>{"stop"});
}

TEST(ResponseReader, HangsUpAfterTheGivenNumberOfChunks) {
  const std::string chunk = R"({"choices":[{"index":0,"text":"x"}]})";
  const records::LedgerEntry entry = streamed({chunk, chunk, chunk, "[DONE]"}, 2);
  EXPECT_EQ(entry.outcome, records::ClientOutcome::kHungUp);
  EXPECT_EQ(entry.chunk_offsets_ns.size(), 2u);
  EXPECT_EQ(entry.done_ns, 20);
}

TEST(ResponseReader, BrokenStreamsAreFailures) {
  const std::string chunk = R"({"choices":[{"index":0,"text":"x"}]})";
  const struct {
    std::vector<std::string> chunks;
    std::string error;
  } rows[] = {
      {{chunk}, "stream ended without [DONE]"},
      {{}, "stream ended without [DONE]"},
      {{chunk, "{\"choices\":", "[DONE]"},
       "broken chunk: got \"{\\\"choices\\\":\", expected JSON"},
      {{chunk, R"({"error":{"type":"InternalServerError","message":"x"}})", "[DONE]"},
       "InternalServerError"},
  };
  for (const auto& row : rows) {
    const records::LedgerEntry entry = streamed(row.chunks);
    EXPECT_EQ(entry.outcome, records::ClientOutcome::kFailed) << row.error;
    EXPECT_EQ(entry.error, row.error);
  }
}

TEST(ResponseReader, WholeResponsesByStatus) {
  const struct {
    int64_t status;
    std::string body;
    records::ClientOutcome outcome;
    std::string error;
  } rows[] = {
      {200, R"({"id":"a","choices":[{"index":0,"text":"x","finish_reason":"stop"}]})",
       records::ClientOutcome::kCompleted, ""},
      {200, "<html>", records::ClientOutcome::kFailed,
       "broken body: got \"<html>\", expected JSON"},
      {400, R"({"error":{"type":"BadRequestError","message":"m"}})",
       records::ClientOutcome::kRefused, "BadRequestError"},
      {404, R"({"detail":"Not Found"})", records::ClientOutcome::kRefused, "detail"},
      {413, "too large", records::ClientOutcome::kRefused, "status 413"},
      {503, "", records::ClientOutcome::kRefused, "status 503"},
      {500, R"({"error":{"type":"InternalServerError"}})", records::ClientOutcome::kFailed,
       "InternalServerError"},
      {500, "oops", records::ClientOutcome::kFailed, "broken body: got \"oops\", expected JSON"},
  };
  for (const auto& row : rows) {
    records::LedgerEntry entry;
    ResponseReader reader(entry, -1, false);
    reader.on_status(row.status, false);
    EXPECT_TRUE(reader.on_body(row.body, 5));
    reader.on_end(6);
    EXPECT_EQ(entry.outcome, row.outcome) << row.body;
    EXPECT_EQ(entry.error, row.error) << row.body;
    EXPECT_EQ(entry.text, "") << "text is kept only when asked for";
  }
}

}  // namespace
}  // namespace touchstone::harness
