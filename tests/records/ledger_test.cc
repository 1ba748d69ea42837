#include "records/ledger.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/files.h"

namespace touchstone::records {
namespace {

/// A file with this text that lives as long as the object.
class TextFile {
 public:
  explicit TextFile(const std::string& text)
      : directory_(*TemporaryDirectory::make("ledger-test")),
        path_(directory_.path() + "/l.jsonl") {
    std::ofstream(path_, std::ios::binary) << text;
  }
  const std::string& path() const { return path_; }

 private:
  TemporaryDirectory directory_;
  std::string path_;
};

LedgerEntry full_entry() {
  LedgerEntry entry;
  entry.index = 7;
  entry.name = "chat \"x\"";
  entry.trace_id.bytes[0] = 1;
  entry.span_id.bytes[0] = 2;
  entry.sampled = false;
  entry.endpoint = "/v1/completions";
  entry.model = "tiny";
  entry.subject = "canary";
  entry.tenant = "acme";
  entry.parameters = {.max_tokens = 6,
                      .min_tokens = 1,
                      .n = 3,
                      .seed = 8,
                      .top_k = 5,
                      .temperature = 0.5,
                      .top_p = 0.9,
                      .min_p = 0.1,
                      .presence_penalty = 1,
                      .frequency_penalty = 0.25,
                      .repetition_penalty = 1.5,
                      .ignore_eos = false,
                      .stop = {"x", "y"}};
  entry.attempt = 2;
  entry.request_id = "req-1";
  entry.stream = true;
  entry.choices = 3;
  entry.intended_ns = 1'234'567'891;
  entry.sent_unix_ns = 1'795'254'032'748'998'144;
  entry.status = 200;
  entry.outcome = ClientOutcome::kHungUp;
  entry.error = "closed";
  entry.response_id = "cmpl-1";
  entry.finish_reasons = {"stop", "length"};
  entry.usage = Usage{.prompt_tokens = 5, .completion_tokens = 6, .cached_tokens = 4};
  entry.prompt_tokens = 5;
  entry.output_tokens = 6;
  entry.prompt_token_ids = {1, 2, 3};
  entry.first_chunk_ns = 10;
  entry.chunk_offsets_ns = {10, 20};
  entry.done_ns = 30;
  entry.text = "word\n\"quoted\"";
  return entry;
}

TEST(Ledger, AnEntryIsTheSameAfterARoundTrip) {
  const std::string line = to_json_line(full_entry());
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const TextFile file(line + "\n");
  const auto read = read_ledger(file.path());
  ASSERT_TRUE(read.has_value()) << read.error().message;
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ(to_json_line(read->at(0)), line);
  EXPECT_EQ(read->at(0).intended_ns, full_entry().intended_ns);
  EXPECT_EQ(read->at(0).usage->cached_tokens, 4);
  EXPECT_EQ(read->at(0).outcome, ClientOutcome::kHungUp);
}

RC_GTEST_PROP(Ledger, AnyEntryIsTheSameAfterARoundTrip,
              (const std::string& text, int64_t sent, uint16_t status, bool stream)) {
  LedgerEntry entry = full_entry();
  entry.name = entry.error = text;
  entry.sent_unix_ns = sent;
  entry.status = status;
  entry.stream = stream;
  const std::string line = to_json_line(entry);
  const TextFile file(line);
  const auto read = read_ledger(file.path());
  RC_ASSERT(read.has_value());
  RC_ASSERT(to_json_line(read->at(0)) == line);
}

TEST(Ledger, ParametersAreThoseThatTheBodyNames) {
  SentParameters sent;
  sent.max_tokens = 7;
  sent.temperature = 0;
  sent.ignore_eos = true;
  sent.stop = {"x"};
  EXPECT_EQ(parameters_of_body(nlohmann::json::parse(
                R"({"model": "m", "max_completion_tokens": 7, "temperature": 0, "stop": "x",
                    "ignore_eos": true})")),
            sent);
  SentParameters typed;
  typed.max_tokens = 3;
  typed.stop = {"a"};
  EXPECT_EQ(parameters_of_body(nlohmann::json::parse(
                R"({"max_tokens": 3, "max_completion_tokens": 7, "n": "two", "seed": 1.5,
                    "top_p": null, "stop": ["a", 1]})")),
            typed)
      << "what has another type was refused, not taken";
  EXPECT_EQ(parameters_of_body(nlohmann::json::array()), SentParameters{});
}

TEST(Ledger, AnotherGeneratorsLedgerReadsToo) {
  const TextFile file(
      R"({"i": 0, "arrival_s": 0.183491, "sent_unix_ns": 1795254409021757398, )"
      R"("trace_id": "b53e11a6ac7d3b13f4b411ddb0f1d33d", "status": 200, "prompt_tokens": 391, )"
      R"("output_tokens": 39, "prompt_token_ids": [1363], "chunk_offsets_ns": [1126487816], )"
      R"("usage": {"prompt_tokens": 391, "total_tokens": 430, "completion_tokens": 39}, )"
      R"("done_ns": 5098791548, "colour": "blue"})"
      "\n\n"
      R"({"i": 1, "status": 503})"
      "\n"
      R"({"i": 2})");
  const auto read = read_ledger(file.path());
  ASSERT_TRUE(read.has_value()) << read.error().message;
  ASSERT_EQ(read->size(), 3u);
  EXPECT_EQ(read->at(0).outcome, ClientOutcome::kCompleted);
  EXPECT_EQ(read->at(0).choices, 1);
  EXPECT_FALSE(read->at(0).span_id.is_valid());
  EXPECT_EQ(read->at(0).intended_ns, 183'491'000);
  EXPECT_EQ(read->at(1).outcome, ClientOutcome::kRefused);
  EXPECT_EQ(read->at(2).outcome, ClientOutcome::kFailed);
}

TEST(Ledger, EveryErrorNamesLineAndField) {
  const struct {
    const char* line;
    const char* message;
  } kBad[] = {
      {R"([])", "l.jsonl:2: got []"},
      {R"({"status": 200})", "l.jsonl:2: missing key \"i\""},
      {R"({"i": "x"})", "l.jsonl:2: i: got \"x\", expected an integer"},
      {R"({"i": 1, "trace_id": "abc"})", "trace_id: got \"abc\", expected 32 hex digits"},
      {R"({"i": 1, "span_id": "zz"})", "expected 16 hex digits"},
      {R"({"i": 1, "outcome": "complete"})", "expected one of: completed, hung_up"},
      {R"({"i": 1, "choices": -1})", "choices: got -1"},
      {R"({"i": 1, "usage": {"completion_tokens": 3}})", "missing key \"prompt_tokens\""},
      {R"({"i": 1, "chunk_offsets_ns": [1, "x"]})", "expected a list of integers"},
      {R"({"i": 1, "sent_unix_ns": 1e300})", "expected an integer"},
  };
  for (const auto& bad : kBad) {
    const TextFile file(std::string("{\"i\": 0}\n") + bad.line + "\n");
    const auto read = read_ledger(file.path());
    ASSERT_FALSE(read.has_value()) << bad.line;
    EXPECT_NE(read.error().message.find(bad.message), std::string::npos)
        << bad.line << " gave: " << read.error().message;
    EXPECT_EQ(read.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(Ledger, EveryTruncationIsAnErrorOfAMachine) {
  const std::string line = to_json_line(full_entry());
  for (size_t length = 1; length < line.size(); ++length) {
    const TextFile file("{\"i\": 0}\n" + line.substr(0, length));
    const auto read = read_ledger(file.path());
    ASSERT_FALSE(read.has_value()) << line.substr(0, length);
    EXPECT_EQ(read.error().code, ErrorCode::kMalformed) << read.error().message;
    EXPECT_NE(read.error().message.find("l.jsonl:2: not valid JSON"), std::string::npos)
        << read.error().message;
  }
}

TEST(Ledger, NoFileIsNotFound) {
  const auto read = read_ledger("/no/such/ledger.jsonl");
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace touchstone::records
