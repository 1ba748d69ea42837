#include "harness/load/exchange.h"

#include <nlohmann/json.hpp>

#include "base/random.h"
#include "base/text.h"

namespace touchstone::harness {
namespace {

using nlohmann::json;

// Ids below this are special tokens in every tokenizer we know of that has few of them.
constexpr int64_t kFirstPlainToken = 16;

std::vector<int32_t> synthetic_prompt(const workload::Request& request, int64_t vocab_size) {
  std::vector<int32_t> ids;
  const auto draw = [&](RandomStream& stream) {
    ids.push_back(static_cast<int32_t>(stream.between(kFirstPlainToken, vocab_size - 1)));
  };
  const auto wanted = static_cast<size_t>(request.prompt_tokens);
  for (const uint64_t block : request.prefix_block_ids) {
    RandomStream stream(block, "load.prefix_block");
    for (int64_t i = 0; i < request.prefix_block_size && ids.size() < wanted; ++i) draw(stream);
  }
  RandomStream stream(0, "load.prompt." + request.name);
  while (ids.size() < wanted) draw(stream);
  return ids;
}

/// `text` with the model's name in its places.
std::string with_model(std::string text, const std::string& model) {
  constexpr std::string_view kPlace = "${model}";
  for (size_t at = text.find(kPlace); at != std::string::npos;
       at = text.find(kPlace, at + model.size())) {
    text.replace(at, kPlace.size(), model);
  }
  return text;
}

template <typename T>
void put(json& body, const char* key, const std::optional<T>& value) {
  if (value) body[key] = *value;
}

/// The member when it is there and not null.
const json* member(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text_member(const json& object, const char* key) {
  const json* value = member(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

int64_t int_member(const json& object, const char* key) {
  const json* value = member(object, key);
  return value != nullptr && value->is_number_integer() ? value->get<int64_t>() : 0;
}

/// The text that a choice of a chunk or of a whole response carries.
std::string choice_text(const json& choice) {
  const json* message = member(choice, "delta");
  if (message == nullptr) message = member(choice, "message");
  if (message == nullptr) return text_member(choice, "text");
  std::string text = text_member(*message, "content");
  if (text.empty()) text = text_member(*message, "reasoning_content");
  return text;
}

void read_usage(const json& response, records::LedgerEntry& entry) {
  const json* usage = member(response, "usage");
  if (usage == nullptr || !usage->is_object()) return;
  records::Usage read;
  read.prompt_tokens = int_member(*usage, "prompt_tokens");
  read.completion_tokens = int_member(*usage, "completion_tokens");
  if (const json* details = member(*usage, "prompt_tokens_details")) {
    if (member(*details, "cached_tokens") != nullptr) {
      read.cached_tokens = int_member(*details, "cached_tokens");
    }
  }
  entry.prompt_tokens = read.prompt_tokens;
  entry.output_tokens = read.completion_tokens;
  entry.usage = read;
}

/// True when any choice carries text.
bool read_choices(const json& response, records::LedgerEntry& entry, bool keep_text) {
  const json* choices = member(response, "choices");
  if (choices == nullptr || !choices->is_array()) return false;
  bool has_text = false;
  for (const json& choice : *choices) {
    const auto index = static_cast<size_t>(int_member(choice, "index"));
    const std::string text = choice_text(choice);
    has_text = has_text || !text.empty();
    if (index == 0 && keep_text) entry.text += text;
    const std::string reason = text_member(choice, "finish_reason");
    if (reason.empty() || index > 4096) continue;
    if (entry.finish_reasons.size() <= index) entry.finish_reasons.resize(index + 1);
    entry.finish_reasons[index] = reason;
  }
  return has_text;
}

/// The error type of a refusal: vLLM's envelope, or FastAPI's own `detail`.
std::string error_type(const json& response) {
  if (const json* error = member(response, "error")) {
    const std::string type = text_member(*error, "type");
    return type.empty() ? "error" : type;
  }
  return member(response, "detail") != nullptr ? "detail" : std::string();
}

bool is_refusal(int64_t status) { return (status >= 400 && status < 500) || status == 503; }

}  // namespace

const char* path_of(workload::Endpoint endpoint) {
  return endpoint == workload::Endpoint::kChat ? "/v1/chat/completions" : "/v1/completions";
}

RequestBody request_body(const workload::Request& request, const std::string& model,
                         int64_t vocab_size) {
  if (request.raw_body) {
    const std::string text = with_model(*request.raw_body, model);
    return {text, records::parameters_of_body(json::parse(text, nullptr, false))};
  }
  json body = {{"model", request.adapter.empty() ? model : request.adapter}};
  if (request.endpoint == workload::Endpoint::kChat && !request.messages.empty()) {
    json messages = json::array();
    for (const workload::Message& message : request.messages) {
      messages.push_back({{"role", message.role}, {"content", message.content}});
    }
    body["messages"] = std::move(messages);
  } else if (request.prompt) {
    body["prompt"] = *request.prompt;
  } else if (!request.prompt_token_ids.empty()) {
    body["prompt"] = request.prompt_token_ids;
  } else {
    body["prompt"] = synthetic_prompt(request, vocab_size);
  }
  if (request.output_tokens > 0) body["max_tokens"] = request.output_tokens;
  if (request.stream) {
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};
  }
  const workload::Sampling& sampling = request.sampling;
  put(body, "temperature", sampling.temperature);
  put(body, "top_p", sampling.top_p);
  put(body, "top_k", sampling.top_k);
  put(body, "seed", sampling.seed);
  put(body, "n", sampling.n);
  put(body, "min_tokens", sampling.min_tokens);
  put(body, "ignore_eos", sampling.ignore_eos);
  if (!sampling.stop.empty()) body["stop"] = sampling.stop;
  if (!request.tenant.empty()) body["user"] = request.tenant;
  if (request.priority != 0) body["priority"] = request.priority;
  return {body.dump(-1, ' ', false, json::error_handler_t::replace),
          records::parameters_of_body(body)};
}

records::LedgerEntry entry_for(const workload::Request& request, int64_t index,
                               const std::string& model) {
  records::LedgerEntry entry;
  entry.index = index;
  entry.name = request.name;
  entry.endpoint = path_of(request.endpoint);
  entry.model = request.adapter.empty() ? model : request.adapter;
  entry.tenant = request.tenant;
  entry.stream = request.stream;
  entry.choices = request.sampling.n.value_or(1);
  entry.intended_ns = request.arrival_ns;
  entry.expect_status = request.expect_status;
  entry.prompt_tokens = request.prompt_tokens;
  entry.output_tokens = request.output_tokens;
  entry.prompt_token_ids = request.prompt_token_ids;
  return entry;
}

records::ClientOutcome outcome_of(int64_t status) {
  if (status >= 200 && status < 300) return records::ClientOutcome::kCompleted;
  return is_refusal(status) ? records::ClientOutcome::kRefused : records::ClientOutcome::kFailed;
}

void ResponseReader::on_status(int64_t status, bool event_stream, std::string_view request_id) {
  entry_.status = status;
  entry_.request_id = request_id;
  event_stream_ = event_stream;
}

bool ResponseReader::on_event(std::string_view data, int64_t offset_ns) {
  if (data == "[DONE]") {
    done_seen_ = true;
    return true;
  }
  const json chunk = json::parse(data, nullptr, false);
  if (chunk.is_discarded()) {
    problem_ = "broken chunk: got " + quote(data) + ", expected JSON";
    return true;
  }
  if (const std::string type = error_type(chunk); !type.empty()) problem_ = type;
  if (entry_.response_id.empty()) entry_.response_id = text_member(chunk, "id");
  read_usage(chunk, entry_);
  if (!read_choices(chunk, entry_, keep_text_)) return true;
  if (!entry_.first_chunk_ns) entry_.first_chunk_ns = offset_ns;
  entry_.chunk_offsets_ns.push_back(offset_ns);
  const auto chunks = static_cast<int64_t>(entry_.chunk_offsets_ns.size());
  hung_up_ = hang_up_after_chunks_ >= 0 && chunks >= hang_up_after_chunks_;
  return !hung_up_;
}

bool ResponseReader::on_body(std::string_view bytes, int64_t offset_ns) {
  if (!event_stream_) {
    body_ += bytes;
    return true;
  }
  sse_.feed(bytes, [&](std::string_view data) { return on_event(data, offset_ns); });
  if (hung_up_) on_hang_up(offset_ns);
  return !hung_up_;
}

void ResponseReader::on_whole_body() {
  const json response = json::parse(body_, nullptr, false);
  if (response.is_discarded()) {
    if (!is_refusal(entry_.status)) {
      problem_ = "broken body: got " + quote(body_) + ", expected JSON";
    }
    return;
  }
  entry_.error = error_type(response);
  entry_.response_id = text_member(response, "id");
  read_usage(response, entry_);
  read_choices(response, entry_, keep_text_);
}

void ResponseReader::on_end(int64_t offset_ns) {
  entry_.done_ns = offset_ns;
  if (event_stream_) {
    if (!done_seen_ && problem_.empty()) problem_ = "stream ended without [DONE]";
  } else {
    on_whole_body();
  }
  if (!problem_.empty()) {
    entry_.outcome = records::ClientOutcome::kFailed;
    entry_.error = problem_;
    return;
  }
  entry_.outcome = outcome_of(entry_.status);
  if (entry_.outcome != records::ClientOutcome::kCompleted && entry_.error.empty()) {
    entry_.error = "status " + std::to_string(entry_.status);
  }
}

void ResponseReader::on_hang_up(int64_t offset_ns) {
  entry_.outcome = records::ClientOutcome::kHungUp;
  entry_.done_ns = offset_ns;
}

void ResponseReader::on_failure(const std::string& what, int64_t offset_ns) {
  entry_.done_ns = offset_ns;
  entry_.outcome = records::ClientOutcome::kFailed;
  entry_.error = what;
}

}  // namespace touchstone::harness
