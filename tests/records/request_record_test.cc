#include "records/request_record.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/files.h"
#include "tests/support/generators.h"

namespace touchstone::records {
namespace {

using namespace touchstone::testing;  // NOLINT

TraceContext any_trace() {
  TraceContext trace;
  trace.trace_id = *gen_id<TraceId>();
  trace.parent_span_id = *gen_id<SpanId>();
  trace.flags = *rc::gen::arbitrary<uint8_t>();
  trace.trace_state = *gen_text();
  trace.remote = *rc::gen::arbitrary<bool>();
  return trace;
}

rc::Gen<RequestRecord> gen_record() {
  return rc::gen::exec([] {
    RequestRecord record;
    record.id = static_cast<uint64_t>(*gen_count());
    record.request_id = *gen_text();
    record.endpoint = *gen_text();
    record.model = *gen_text();
    if (*rc::gen::arbitrary<bool>()) record.trace = any_trace();
    record.arrival_unix_ns = *gen_count();
    record.arrival_ns = *gen_count();
    record.queued_ns = *gen_optional(gen_count());
    record.first_scheduled_ns = *gen_optional(gen_count());
    record.first_token_ns = *gen_optional(gen_count());
    record.last_token_ns = *gen_optional(gen_count());
    record.finished_ns = *gen_count();
    record.prompt_tokens = *gen_count();
    record.cached_tokens = *gen_count();
    record.completion_tokens = *gen_count();
    record.preemptions = *gen_count();
    record.max_tokens = *gen_optional(gen_count());
    record.min_tokens = *gen_optional(gen_count());
    record.temperature = *gen_optional(gen_number());
    record.top_p = *gen_optional(gen_number());
    record.top_k = *gen_optional(gen_count());
    record.n = *gen_count();
    record.choice = *gen_count();
    record.choices = *gen_count();
    record.ignore_eos = *rc::gen::arbitrary<bool>();
    record.skip_reading_prefix_cache = *rc::gen::arbitrary<bool>();
    record.priority = *gen_count();
    record.outcome = *rc::gen::elementOf(std::vector<Outcome>{
        Outcome::kStop, Outcome::kLength, Outcome::kAbort, Outcome::kError, Outcome::kRefused});
    record.stop_reason = *gen_text();
    record.http_status = *gen_count();
    record.error_type = *gen_text();
    record.adapter = *gen_text();
    record.tenant = *gen_text();
    record.tokenize_ns = *gen_optional(gen_count());
    record.detokenize_ns = *gen_optional(gen_count());
    for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
      record.prefill_chunks.push_back({*gen_count(), *gen_count(), *gen_count()});
      record.preempted.push_back({*gen_count(), *gen_count()});
      record.stop_token_ids.push_back(*gen_count());
    }
    record.prompt_characters = *gen_optional(gen_count());
    record.min_p = *gen_optional(gen_number());
    record.presence_penalty = *gen_optional(gen_number());
    record.frequency_penalty = *gen_optional(gen_number());
    record.repetition_penalty = *gen_optional(gen_number());
    record.seed = *gen_optional(gen_count());
    record.stop_strings = *gen_count();
    record.stream = *rc::gen::arbitrary<bool>();
    record.block_size = *gen_count();
    record.block_hashes = *rc::gen::container<std::vector<std::string>>(gen_text());
    return record;
  });
}

// The line holds every field, so equal lines mean equal records.
RC_GTEST_PROP(RequestRecord, EveryRecordSurvivesARoundTrip, ()) {
  const RequestRecord record = *gen_record();
  const std::string line = to_json_line(record);
  RC_ASSERT(line.find('\n') == std::string::npos);
  const Result<RequestRecord> read = parse_request_record("r.jsonl", 1, line);
  RC_ASSERT(read.has_value());
  RC_ASSERT(to_json_line(*read) == line);
  RC_ASSERT(read->request_id == record.request_id);
  RC_ASSERT(read->trace.has_value() == record.trace.has_value());
  RC_ASSERT(read->first_token_ns == record.first_token_ns);
  RC_ASSERT(read->temperature == record.temperature);
  RC_ASSERT(read->block_hashes == record.block_hashes);
}

TEST(RequestRecord, ReplacesBytesThatAreNotUtf8) {
  RequestRecord record;
  record.request_id = "cmpl-\xff\xe9x-0";
  const Result<RequestRecord> read = parse_request_record("r.jsonl", 1, to_json_line(record));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->request_id, "cmpl-\xef\xbf\xbd\xef\xbf\xbdx-0");
}

TEST(RequestRecord, SaysWhereAndWhatIsWrong) {
  struct Row {
    std::string from;
    std::string to;
    std::string message;
  };
  RequestRecord record;
  record.trace = TraceContext{};
  const std::string good = to_json_line(record);
  const Row rows[] = {
      {"\"request_record\":2", "\"request_record\":3",
       "r.jsonl:4: request_record: got version 3, expected 1 to 2"},
      {"\"stop\"", "\"stopped\"", "r.jsonl:4: outcome: got \"stopped\", expected one of"},
      {"\"outcome\":\"stop\",", "", "r.jsonl:4: missing key \"outcome\""},
      {"\"flags\":0", "\"flags\":256", "r.jsonl:4: trace.flags: got 256, expected 0 to 255"},
      {"\"trace_id\":\"00", "\"trace_id\":\"0x",
       "r.jsonl:4: trace.trace_id: got \"0x000000000000000000000000000000\", expected 32 hex"},
      {"\"finished_ns\":0", "\"finished_ns\":\"0\"",
       "r.jsonl:4: finished_ns: got \"0\", expected an integer"},
      {"\"id\":0", "\"id\":-1", "r.jsonl:4: id: got -1, expected an integer of 0 or more"},
  };
  for (const Row& row : rows) {
    std::string text = good;
    text.replace(text.find(row.from), row.from.size(), row.to);
    const Result<RequestRecord> read = parse_request_record("r.jsonl", 4, text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(read.error().message.substr(0, row.message.size()), row.message);
  }
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(parse_request_record("r.jsonl", 1, good.substr(0, size))) << size;
  }
}

TEST(RequestRecord, LinesOfVersionOneAreStillRead) {
  const std::string old =
      R"({"request_record":1,"id":7,"request_id":"cmpl-a-0","endpoint":"/v1/completions",)"
      R"("model":"tiny","arrival_unix_ns":5,"arrival_ns":1,"queued_ns":2,"finished_ns":9,)"
      R"("prompt_tokens":3,"cached_tokens":0,"completion_tokens":0,"preemptions":0,"n":1,)"
      R"("choice":0,"choices":1,"outcome":"error","http_status":500,)"
      R"("error":"InternalServerError","block_size":16,"block_hashes":[]})";
  const Result<RequestRecord> read = parse_request_record("r.jsonl", 1, old);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->id, 7u);
  EXPECT_EQ(read->outcome, Outcome::kError);
  EXPECT_EQ(read->error_type, "InternalServerError");
  EXPECT_TRUE(read->prefill_chunks.empty());
}

TEST(RequestRecord, WritesWhatHappenedAndWasAskedButNoContent) {
  RequestRecord record;
  record.prefill_chunks = {{.start_ns = 1, .end_ns = 2, .tokens = 16}};
  record.preempted = {{.start_ns = 3, .end_ns = 4}};
  record.stop_strings = 2;
  record.stop_token_ids = {13};
  record.tenant = "acme";
  const std::string line = to_json_line(record);
  for (const char* part : {R"("prefill_chunks":[{"start_ns":1,"end_ns":2,"tokens":16}])",
                           R"("preempted":[{"start_ns":3,"end_ns":4}])", R"("stop_strings":2)",
                           R"("stop_token_ids":[13])", R"("tenant":"acme")"}) {
    EXPECT_NE(line.find(part), std::string::npos) << part << " in " << line;
  }
}

TEST(RequestRecord, ReadsAFileAndNamesTheBadLine) {
  const Result<TemporaryDirectory> directory = TemporaryDirectory::make("record-test");
  ASSERT_TRUE(directory);
  const std::string path = directory->path() + "/records.jsonl";
  const std::string line = to_json_line(RequestRecord{}) + "\n";
  ASSERT_TRUE(write_file_atomic(path, line + line));
  const auto records = read_request_records(path);
  ASSERT_TRUE(records) << records.error().message;
  EXPECT_EQ(records->size(), 2u);
  ASSERT_TRUE(write_file_atomic(path, line + line.substr(0, 40)));
  const auto cut = read_request_records(path);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().message.substr(0, path.size() + 3), path + ":2:");
}

}  // namespace
}  // namespace touchstone::records
