#include "records/request_record.h"

#include <utility>

#include "base/clock.h"
#include "base/document.h"
#include "base/files.h"
#include "base/json_text.h"
#include "records/field_table.h"
#include "records/field_text.h"

namespace touchstone::records {
namespace {

constexpr const char* kVersionKey = "request_record";

const Words<Outcome>& outcome_words() {
  static const Words<Outcome> kWords = {{"stop", Outcome::kStop},
                                        {"length", Outcome::kLength},
                                        {"abort", Outcome::kAbort},
                                        {"error", Outcome::kError},
                                        {"refused", Outcome::kRefused}};
  return kWords;
}

}  // namespace

template <typename Visitor, OneOf<TraceContext> Struct>
void visit_fields(Visitor& visit, Struct& trace) {
  visit.required("trace_id", trace.trace_id);
  visit.required("parent_span_id", trace.parent_span_id);
  int64_t flags = trace.flags;
  visit.in_range("flags", flags, 0, 255);
  if constexpr (!std::is_const_v<Struct>) trace.flags = static_cast<uint8_t>(flags);
  visit.optional("trace_state", trace.trace_state);
  visit.always("remote", trace.remote);
}

template <typename Visitor, OneOf<PrefillChunk> Struct>
void visit_fields(Visitor& visit, Struct& chunk) {
  visit.required("start_ns", chunk.start_ns);
  visit.required("end_ns", chunk.end_ns);
  visit.required("tokens", chunk.tokens);
}

template <typename Visitor, OneOf<Preemption> Struct>
void visit_fields(Visitor& visit, Struct& preemption) {
  visit.required("start_ns", preemption.start_ns);
  visit.required("end_ns", preemption.end_ns);
}

template <typename Visitor, OneOf<RequestRecord> Struct>
void visit_parameters(Visitor& visit, Struct& record) {
  visit.optional("max_tokens", record.max_tokens);
  visit.optional("min_tokens", record.min_tokens);
  visit.optional("temperature", record.temperature);
  visit.optional("top_p", record.top_p);
  visit.optional("top_k", record.top_k);
  visit.optional("min_p", record.min_p);
  visit.optional("presence_penalty", record.presence_penalty);
  visit.optional("frequency_penalty", record.frequency_penalty);
  visit.optional("repetition_penalty", record.repetition_penalty);
  visit.optional("seed", record.seed);
  visit.optional("stop_strings", record.stop_strings);
  visit.optional("stop_token_ids", record.stop_token_ids);
  visit.always("n", record.n);
  visit.always("choice", record.choice);
  visit.always("choices", record.choices);
  visit.optional("stream", record.stream);
  visit.optional("ignore_eos", record.ignore_eos);
  visit.optional("priority", record.priority);
  visit.optional("skip_reading_prefix_cache", record.skip_reading_prefix_cache);
}

template <typename Visitor, OneOf<RequestRecord> Struct>
void visit_fields(Visitor& visit, Struct& record) {
  visit.required("id", record.id);
  visit.required("request_id", record.request_id);
  visit.required("endpoint", record.endpoint);
  visit.required("model", record.model);
  visit.optional("adapter", record.adapter);
  visit.optional("tenant", record.tenant);
  visit.optional("trace", record.trace);
  visit.optional("http_span_id", record.http_span_id);
  visit.optional("caller_span_id", record.caller_span_id);
  visit.optional("own_trace_id", record.own_trace_id);
  visit.required("arrival_unix_ns", record.arrival_unix_ns);
  visit.required("arrival_ns", record.arrival_ns);
  visit.optional("tokenize_ns", record.tokenize_ns);
  visit.optional("queued_ns", record.queued_ns);
  visit.optional("first_scheduled_ns", record.first_scheduled_ns);
  visit.optional("first_token_ns", record.first_token_ns);
  visit.optional("last_token_ns", record.last_token_ns);
  visit.required("finished_ns", record.finished_ns);
  visit.optional("detokenize_ns", record.detokenize_ns);
  visit.optional("prefill_chunks", record.prefill_chunks);
  visit.optional("preempted", record.preempted);
  visit.optional("prompt_characters", record.prompt_characters);
  visit.required("prompt_tokens", record.prompt_tokens);
  visit.required("cached_tokens", record.cached_tokens);
  visit.required("completion_tokens", record.completion_tokens);
  visit.required("preemptions", record.preemptions);
  visit_parameters(visit, record);
  visit.word("outcome", record.outcome, outcome_words());
  visit.optional("stop_reason", record.stop_reason);
  visit.required("http_status", record.http_status);
  visit.optional("error_type", record.error_type);
  visit.optional("rate_limit", record.rate_limit);
  visit.always("block_size", record.block_size);
  visit.always("block_hashes", record.block_hashes);
}

namespace {

RequestRecord read_record(const Fields& root) {
  const int64_t version = root.required_int(kVersionKey);
  if (version < 1 || version > kRequestRecordVersion) {
    root.fail(kVersionKey, "got version " + std::to_string(version) + ", expected 1 to " +
                               std::to_string(kRequestRecordVersion));
  }
  if (!root.has("outcome")) root.fail("", "missing key \"outcome\"");
  auto record = fields_from<RequestRecord>(root);
  if (version == 1) record.error_type = root.optional_string("error").value_or("");
  return record;
}

}  // namespace

const char* to_string(Outcome outcome) {
  for (const auto& [word, meaning] : outcome_words()) {
    if (meaning == outcome) return word.c_str();
  }
  BASE_CHECK(false, static_cast<int>(outcome));
}

double seconds_between(const std::optional<int64_t>& from, const std::optional<int64_t>& to) {
  return from && to ? to_seconds(*to - *from) : 0;
}

std::string to_json_line(const RequestRecord& record) {
  std::string line;
  line.reserve(1024 + 35 * record.block_hashes.size());
  JsonText json(line);
  json.begin_object().key(kVersionKey).integer(kRequestRecordVersion);
  FieldText text(json);
  visit_fields(text, record);
  json.end_object();
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
