#include "records/ledger.h"

#include "base/files.h"
#include "records/field_table.h"

namespace touchstone::records {
namespace {

const Words<ClientOutcome>& outcome_words() {
  static const Words<ClientOutcome> kWords = {{"completed", ClientOutcome::kCompleted},
                                              {"hung_up", ClientOutcome::kHungUp},
                                              {"refused", ClientOutcome::kRefused},
                                              {"failed", ClientOutcome::kFailed}};
  return kWords;
}

}  // namespace

template <typename Visitor, OneOf<Usage> Struct>
void visit_fields(Visitor& visit, Struct& usage) {
  visit.required("prompt_tokens", usage.prompt_tokens);
  visit.always("completion_tokens", usage.completion_tokens);
  visit.optional("cached_tokens", usage.cached_tokens);
}

template <typename Visitor, OneOf<SentParameters> Struct>
void visit_fields(Visitor& visit, Struct& sent) {
  visit.optional("max_tokens", sent.max_tokens);
  visit.optional("min_tokens", sent.min_tokens);
  visit.optional("n", sent.n);
  visit.optional("seed", sent.seed);
  visit.optional("top_k", sent.top_k);
  visit.optional("temperature", sent.temperature);
  visit.optional("top_p", sent.top_p);
  visit.optional("min_p", sent.min_p);
  visit.optional("presence_penalty", sent.presence_penalty);
  visit.optional("frequency_penalty", sent.frequency_penalty);
  visit.optional("repetition_penalty", sent.repetition_penalty);
  visit.optional("ignore_eos", sent.ignore_eos);
  visit.optional("stop", sent.stop);
}

template <typename Visitor, OneOf<LedgerEntry> Struct>
void visit_fields(Visitor& visit, Struct& entry) {
  visit.required("i", entry.index);
  visit.optional("name", entry.name);
  visit.optional("subject", entry.subject);
  visit.optional("trace_id", entry.trace_id);
  visit.optional("span_id", entry.span_id);
  visit.always("sampled", entry.sampled);
  visit.optional("endpoint", entry.endpoint);
  visit.optional("model", entry.model);
  visit.optional("tenant", entry.tenant);
  visit.optional("parameters", entry.parameters);
  visit.in_range("attempt", entry.attempt, 1, 1'000'000);
  visit.always("stream", entry.stream);
  visit.in_range("choices", entry.choices, 0, 1'000'000);
  visit.seconds("arrival_s", entry.intended_ns);
  visit.always("sent_unix_ns", entry.sent_unix_ns);
  visit.always("status", entry.status);
  visit.optional("expect_status", entry.expect_status);
  visit.word("outcome", entry.outcome, outcome_words());
  visit.optional("error", entry.error);
  visit.optional("response_id", entry.response_id);
  visit.optional("request_id", entry.request_id);
  visit.optional("finish_reasons", entry.finish_reasons);
  visit.optional("usage", entry.usage);
  visit.always("prompt_tokens", entry.prompt_tokens);
  visit.always("output_tokens", entry.output_tokens);
  visit.optional("prompt_token_ids", entry.prompt_token_ids);
  visit.optional("first_chunk_ns", entry.first_chunk_ns);
  visit.always("chunk_offsets_ns", entry.chunk_offsets_ns);
  visit.always("done_ns", entry.done_ns);
  visit.optional("text", entry.text);
}

namespace {

/// What a ledger without the word means by its status.
ClientOutcome outcome_of_status(int64_t status) {
  if (status >= 200 && status < 300) return ClientOutcome::kCompleted;
  if ((status >= 400 && status < 500) || status == 503) return ClientOutcome::kRefused;
  return ClientOutcome::kFailed;
}

LedgerEntry read_entry(const Fields& fields) {
  auto entry = fields_from<LedgerEntry>(fields);
  if (!fields.has("outcome")) entry.outcome = outcome_of_status(entry.status);
  const Usage usage = entry.usage.value_or(Usage{});
  if (!fields.has("prompt_tokens")) entry.prompt_tokens = usage.prompt_tokens;
  if (!fields.has("output_tokens")) entry.output_tokens = usage.completion_tokens;
  return entry;
}

/// Takes what has the right type and leaves the rest: a body may be wrong on purpose.
class BodyReader final {
 public:
  explicit BodyReader(const nlohmann::json& body) : body_(body) {}
  void optional(const char* key, std::optional<int64_t>& value) {
    if (const auto* raw = find(key); raw && raw->is_number_integer()) value = raw->get<int64_t>();
  }
  void optional(const char* key, std::optional<double>& value) {
    if (const auto* raw = find(key); raw && raw->is_number()) value = raw->get<double>();
  }
  void optional(const char* key, std::optional<bool>& value) {
    if (const auto* raw = find(key); raw && raw->is_boolean()) value = raw->get<bool>();
  }
  /// `stop` may be one text.
  void optional(const char* key, std::vector<std::string>& values) {
    const auto* raw = find(key);
    if (raw == nullptr) return;
    const auto list = raw->is_array() ? *raw : nlohmann::json::array({*raw});
    for (const auto& item : list) {
      if (item.is_string()) values.push_back(item.get<std::string>());
    }
  }

 private:
  const nlohmann::json* find(const char* key) const {
    const auto found = body_.find(key);
    return found == body_.end() ? nullptr : &*found;
  }
  const nlohmann::json& body_;
};

}  // namespace

const char* to_string(ClientOutcome outcome) {
  for (const auto& [word, value] : outcome_words()) {
    if (value == outcome) return word.c_str();
  }
  return "failed";
}

SentParameters parameters_of_body(const nlohmann::json& body) {
  SentParameters sent;
  if (!body.is_object()) return sent;
  BodyReader reader(body);
  visit_fields(reader, sent);
  if (!sent.max_tokens) reader.optional("max_completion_tokens", sent.max_tokens);
  return sent;
}

std::string to_json_line(const LedgerEntry& entry) {
  // What a server sent may be no UTF-8; the ledger must still be written.
  return fields_to_json(entry).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<std::vector<LedgerEntry>> read_ledger(const std::string& path) {
  std::vector<LedgerEntry> entries;
  const Status status = for_each_line(path, [&](int64_t number, std::string_view text) -> Status {
    if (text.empty()) return {};
    Result<Document> document = Document::parse_json_line(path, number, text);
    if (!document) return std::move(document).error();
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
