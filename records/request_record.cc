#include "records/request_record.h"

#include <utility>

#include "base/document.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/text.h"

namespace touchstone::records {
namespace {

constexpr const char* kVersionKey = "request_record";

void append(JsonText& json, const char* key, const std::optional<int64_t>& value) {
  if (value) json.key(key).integer(*value);
}
void append(JsonText& json, const char* key, const std::optional<double>& value) {
  if (value) json.key(key).number(*value);
}

void append_trace(JsonText& json, const TraceContext& trace) {
  json.key("trace").begin_object();
  json.key("trace_id").string(trace.trace_id.hex());
  json.key("parent_span_id").string(trace.parent_span_id.hex());
  json.key("flags").integer(trace.flags);
  if (!trace.trace_state.empty()) json.key("trace_state").string(trace.trace_state);
  json.key("remote").boolean(trace.remote);
  json.end_object();
}

template <typename Id>
Id read_hex_id(const Fields& fields, const std::string& key, const char* expected) {
  const std::string text = fields.required_string(key);
  const std::optional<Id> id = Id::parse(text);
  if (!id) fields.fail(key, "got " + quote(text) + ", expected " + expected);
  return id.value_or(Id{});
}

TraceContext read_trace(const Fields& fields) {
  TraceContext trace;
  trace.trace_id = read_hex_id<TraceId>(fields, "trace_id", "32 hex digits");
  trace.parent_span_id = read_hex_id<SpanId>(fields, "parent_span_id", "16 hex digits");
  trace.flags = static_cast<uint8_t>(fields.int_in("flags", 0, 0, 255));
  trace.trace_state = fields.optional_string("trace_state").value_or("");
  trace.remote = fields.optional_bool("remote").value_or(true);
  return trace;
}

void read_times(const Fields& root, RequestRecord& record) {
  record.arrival_unix_ns = root.required_int("arrival_unix_ns");
  record.arrival_ns = root.required_int("arrival_ns");
  record.queued_ns = root.optional_int("queued_ns");
  record.first_scheduled_ns = root.optional_int("first_scheduled_ns");
  record.first_token_ns = root.optional_int("first_token_ns");
  record.last_token_ns = root.optional_int("last_token_ns");
  record.finished_ns = root.required_int("finished_ns");
}

void read_parameters(const Fields& root, RequestRecord& record) {
  record.max_tokens = root.optional_int("max_tokens");
  record.min_tokens = root.optional_int("min_tokens");
  record.temperature = root.optional_double("temperature");
  record.top_p = root.optional_double("top_p");
  record.top_k = root.optional_int("top_k");
  record.n = root.optional_int("n").value_or(1);
  record.choice = root.optional_int("choice").value_or(0);
  record.choices = root.optional_int("choices").value_or(1);
  record.ignore_eos = root.optional_bool("ignore_eos").value_or(false);
  record.priority = root.optional_int("priority").value_or(0);
  record.skip_reading_prefix_cache =
      root.optional_bool("skip_reading_prefix_cache").value_or(false);
}

RequestRecord read_record(const Fields& root) {
  const int64_t version = root.required_int(kVersionKey);
  if (version != kRequestRecordVersion) {
    root.fail(kVersionKey, "got version " + std::to_string(version) + ", expected " +
                               std::to_string(kRequestRecordVersion));
  }
  RequestRecord record;
  record.id = static_cast<uint64_t>(root.int_in("id", 0, 0, INT64_MAX));
  record.request_id = root.required_string("request_id");
  record.endpoint = root.required_string("endpoint");
  record.model = root.required_string("model");
  if (root.has("trace")) record.trace = read_trace(root.object("trace"));
  read_times(root, record);
  record.prompt_tokens = root.required_int("prompt_tokens");
  record.cached_tokens = root.required_int("cached_tokens");
  record.completion_tokens = root.required_int("completion_tokens");
  record.preemptions = root.required_int("preemptions");
  read_parameters(root, record);
  if (!root.has("outcome")) root.fail("", "missing key \"outcome\"");
  record.outcome = root.optional_enum<Outcome>("outcome", {{"stop", Outcome::kStop},
                                                           {"length", Outcome::kLength},
                                                           {"abort", Outcome::kAbort},
                                                           {"error", Outcome::kError},
                                                           {"refused", Outcome::kRefused}})
                       .value_or(Outcome::kStop);
  record.stop_reason = root.optional_string("stop_reason").value_or("");
  record.http_status = root.required_int("http_status");
  record.error = root.optional_string("error").value_or("");
  record.block_size = root.optional_int("block_size").value_or(0);
  record.block_hashes = root.strings("block_hashes");
  return record;
}

}  // namespace

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kStop:
      return "stop";
    case Outcome::kLength:
      return "length";
    case Outcome::kAbort:
      return "abort";
    case Outcome::kError:
      return "error";
    case Outcome::kRefused:
      return "refused";
  }
  BASE_CHECK(false, static_cast<int>(outcome));
}

std::string to_json_line(const RequestRecord& record) {
  std::string line;
  line.reserve(768 + 68 * record.block_hashes.size());
  JsonText json(line);
  json.begin_object().key(kVersionKey).integer(kRequestRecordVersion);
  json.key("id").unsigned_integer(record.id);
  json.key("request_id").string(record.request_id);
  json.key("endpoint").string(record.endpoint);
  json.key("model").string(record.model);
  if (record.trace) append_trace(json, *record.trace);
  json.key("arrival_unix_ns").integer(record.arrival_unix_ns);
  json.key("arrival_ns").integer(record.arrival_ns);
  append(json, "queued_ns", record.queued_ns);
  append(json, "first_scheduled_ns", record.first_scheduled_ns);
  append(json, "first_token_ns", record.first_token_ns);
  append(json, "last_token_ns", record.last_token_ns);
  json.key("finished_ns").integer(record.finished_ns);
  json.key("prompt_tokens").integer(record.prompt_tokens);
  json.key("cached_tokens").integer(record.cached_tokens);
  json.key("completion_tokens").integer(record.completion_tokens);
  json.key("preemptions").integer(record.preemptions);
  append(json, "max_tokens", record.max_tokens);
  append(json, "min_tokens", record.min_tokens);
  append(json, "temperature", record.temperature);
  append(json, "top_p", record.top_p);
  append(json, "top_k", record.top_k);
  json.key("n").integer(record.n).key("choice").integer(record.choice);
  json.key("choices").integer(record.choices);
  if (record.ignore_eos) json.key("ignore_eos").boolean(true);
  if (record.priority != 0) json.key("priority").integer(record.priority);
  if (record.skip_reading_prefix_cache) json.key("skip_reading_prefix_cache").boolean(true);
  json.key("outcome").string(to_string(record.outcome));
  if (!record.stop_reason.empty()) json.key("stop_reason").string(record.stop_reason);
  json.key("http_status").integer(record.http_status);
  if (!record.error.empty()) json.key("error").string(record.error);
  json.key("block_size").integer(record.block_size).key("block_hashes").begin_array();
  for (const std::string& hash : record.block_hashes) json.string(hash);
  json.end_array().end_object();
  return line;
}

Result<RequestRecord> parse_request_record(const std::string& file, int64_t line,
                                           const std::string& text) {
  Result<Document> document = Document::parse_json_line(file, line, text);
  if (!document) return invalid_argument(document.error().message, "is the file cut short?");
  document->ignore_unknown_keys();
  RequestRecord record = read_record(document->root());
  RETURN_IF_ERROR(document->finish());
  return record;
}

Result<std::vector<RequestRecord>> read_request_records(const std::string& path) {
  std::vector<RequestRecord> records;
  RETURN_IF_ERROR(for_each_line(path, [&](int64_t number, std::string_view line) -> Status {
    Result<RequestRecord> record = parse_request_record(path, number, std::string(line));
    if (!record) return std::move(record).error();
    records.push_back(*std::move(record));
    return {};
  }));
  return records;
}

}  // namespace touchstone::records
