#include "records/ledger.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/document.h"
#include "base/files.h"

namespace touchstone::records {
namespace {

using nlohmann::json;

const std::vector<std::pair<std::string, ClientOutcome>>& outcome_words() {
  static const std::vector<std::pair<std::string, ClientOutcome>> kWords = {
      {"completed", ClientOutcome::kCompleted},
      {"hung_up", ClientOutcome::kHungUp},
      {"refused", ClientOutcome::kRefused},
      {"failed", ClientOutcome::kFailed}};
  return kWords;
}

/// What a ledger without the word means by its status.
ClientOutcome outcome_of_status(int64_t status) {
  if (status >= 200 && status < 300) return ClientOutcome::kCompleted;
  if ((status >= 400 && status < 500) || status == 503) return ClientOutcome::kRefused;
  return ClientOutcome::kFailed;
}

template <typename Id>
Id read_id(const Fields& fields, const std::string& key) {
  const auto text = fields.optional_string(key);
  if (!text || text->empty()) return {};
  const auto id = Id::parse(*text);
  if (!id) {
    fields.fail(key, "got \"" + *text + "\", expected " +
                         std::to_string(2 * std::tuple_size_v<decltype(Id::bytes)>) +
                         " hex digits");
    return {};
  }
  return *id;
}

std::optional<Usage> read_usage(const Fields& fields) {
  if (!fields.has("usage")) return std::nullopt;
  const Fields object = fields.object("usage");
  Usage usage;
  usage.prompt_tokens = object.required_int("prompt_tokens");
  usage.completion_tokens = object.optional_int("completion_tokens").value_or(0);
  usage.cached_tokens = object.optional_int("cached_tokens");
  return usage;
}

/// Offsets are written in nanoseconds; `arrival_s` alone is in seconds.
int64_t seconds_to_ns(double seconds) {
  constexpr double kMaxSeconds = 9e9;  // what int64 nanoseconds hold
  if (!(seconds >= -kMaxSeconds && seconds <= kMaxSeconds)) return 0;
  return std::llround(seconds * static_cast<double>(kNsPerSecond));
}

LedgerEntry read_entry(const Fields& fields) {
  LedgerEntry entry;
  entry.index = fields.required_int("i");
  entry.name = fields.optional_string("name").value_or("");
  entry.trace_id = read_id<TraceId>(fields, "trace_id");
  entry.span_id = read_id<SpanId>(fields, "span_id");
  entry.sampled = fields.optional_bool("sampled").value_or(true);
  entry.endpoint = fields.optional_string("endpoint").value_or("");
  entry.model = fields.optional_string("model").value_or("");
  entry.stream = fields.optional_bool("stream").value_or(false);
  entry.choices = fields.int_in("choices", 1, 0, 1'000'000);
  entry.intended_ns = seconds_to_ns(fields.optional_double("arrival_s").value_or(0));
  entry.sent_unix_ns = fields.optional_int("sent_unix_ns").value_or(0);
  entry.status = fields.optional_int("status").value_or(0);
  entry.expect_status = fields.optional_int("expect_status");
  entry.outcome =
      fields.optional_enum("outcome", outcome_words()).value_or(outcome_of_status(entry.status));
  entry.error = fields.optional_string("error").value_or("");
  entry.response_id = fields.optional_string("response_id").value_or("");
  entry.finish_reasons = fields.strings("finish_reasons");
  entry.usage = read_usage(fields);
  const Usage usage = entry.usage.value_or(Usage{});
  entry.prompt_tokens = fields.optional_int("prompt_tokens").value_or(usage.prompt_tokens);
  entry.output_tokens = fields.optional_int("output_tokens").value_or(usage.completion_tokens);
  for (const int64_t token : fields.ints("prompt_token_ids")) {
    entry.prompt_token_ids.push_back(static_cast<int32_t>(token));
  }
  entry.first_chunk_ns = fields.optional_int("first_chunk_ns");
  entry.chunk_offsets_ns = fields.ints("chunk_offsets_ns");
  entry.done_ns = fields.optional_int("done_ns").value_or(0);
  entry.text = fields.optional_string("text").value_or("");
  return entry;
}

}  // namespace

const char* to_string(ClientOutcome outcome) {
  for (const auto& [word, value] : outcome_words()) {
    if (value == outcome) return word.c_str();
  }
  return "failed";
}

std::string to_json_line(const LedgerEntry& entry) {
  json line;
  line["i"] = entry.index;
  if (!entry.name.empty()) line["name"] = entry.name;
  if (entry.trace_id.is_valid()) line["trace_id"] = entry.trace_id.hex();
  if (entry.span_id.is_valid()) line["span_id"] = entry.span_id.hex();
  line["sampled"] = entry.sampled;
  if (!entry.endpoint.empty()) line["endpoint"] = entry.endpoint;
  if (!entry.model.empty()) line["model"] = entry.model;
  line["stream"] = entry.stream;
  line["choices"] = entry.choices;
  line["arrival_s"] = static_cast<double>(entry.intended_ns) / static_cast<double>(kNsPerSecond);
  line["sent_unix_ns"] = entry.sent_unix_ns;
  line["status"] = entry.status;
  if (entry.expect_status) line["expect_status"] = *entry.expect_status;
  line["outcome"] = to_string(entry.outcome);
  if (!entry.error.empty()) line["error"] = entry.error;
  if (!entry.response_id.empty()) line["response_id"] = entry.response_id;
  if (!entry.finish_reasons.empty()) line["finish_reasons"] = entry.finish_reasons;
  if (entry.usage) {
    line["usage"] = {{"prompt_tokens", entry.usage->prompt_tokens},
                     {"completion_tokens", entry.usage->completion_tokens}};
    if (entry.usage->cached_tokens) line["usage"]["cached_tokens"] = *entry.usage->cached_tokens;
  }
  line["prompt_tokens"] = entry.prompt_tokens;
  line["output_tokens"] = entry.output_tokens;
  if (!entry.prompt_token_ids.empty()) line["prompt_token_ids"] = entry.prompt_token_ids;
  if (entry.first_chunk_ns) line["first_chunk_ns"] = *entry.first_chunk_ns;
  line["chunk_offsets_ns"] = entry.chunk_offsets_ns;
  line["done_ns"] = entry.done_ns;
  if (!entry.text.empty()) line["text"] = entry.text;
  // What a server sent may be no UTF-8; the ledger must still be written.
  return line.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<std::vector<LedgerEntry>> read_ledger(const std::string& path) {
  std::vector<LedgerEntry> entries;
  const Status status = for_each_line(path, [&](int64_t number, std::string_view text) -> Status {
    if (text.empty()) return {};
    Result<Document> document = Document::parse_json_line(path, number, text);
    if (!document) return invalid_argument(document.error().message);
    document->ignore_unknown_keys();
    LedgerEntry entry = read_entry(document->root());
    RETURN_IF_ERROR(document->finish());
    entries.push_back(std::move(entry));
    return {};
  });
  RETURN_IF_ERROR(status);
  return entries;
}

}  // namespace touchstone::records
