#include "reference_engine/server/submission_of.h"

#include <utility>

#include "base/utf8.h"
#include "reference_engine/scheduler/block_hash.h"

namespace touchstone::server {

namespace {

/// What the client said, as much of it as may be captured.
records::RequestContent content_of(const api::GenerationRequest& request, int64_t bytes_max) {
  records::RequestContent content;
  content.bytes_max = bytes_max;
  auto room = static_cast<size_t>(bytes_max);
  const auto add = [&](const std::string& role, const std::string& text) {
    content.input.push_back({role, std::string(utf8_prefix(text, room))});
    room -= content.input.back().text.size();
  };
  for (const auto& [role, text] : request.messages) add(role, text);
  if (!request.messages.empty()) return content;
  for (const api::Prompt& prompt : request.prompts) add("user", prompt.text);
  return content;
}

/// Its id is part of the cache's key: what one computed fits no other, not even one that is loaded
/// later under its name.
std::shared_ptr<const engine::Adapter> adapter_of(const api::ServedAdapter& adapter) {
  return std::make_shared<engine::Adapter>(
      engine::Adapter{.id = adapter.id,
                      .name = adapter.name,
                      .cache_key = std::to_string(adapter.id) + ":" + adapter.name,
                      .source = {.folder = adapter.path, .sha256 = adapter.sha256}});
}

}  // namespace

engine::Submission submission_of(const ArrivedRequest& arrived, int32_t block_size,
                                 std::shared_ptr<engine::OutputSink> sink) {
  const api::GenerationRequest& request = *arrived.request;
  const bool completions = request.endpoint == api::Endpoint::kCompletions;
  engine::Submission submission;
  submission.cache_salt = request.cache_salt;
  if (request.adapter) submission.adapter = adapter_of(*request.adapter);
  for (const api::Prompt& prompt : request.prompts) {
    submission.prompts.push_back(
        {.token_ids = {arrived.request, &prompt.token_ids},
         .max_tokens = prompt.max_tokens,
         .block_hashes =
             scheduler::hash_blocks(submission.chain_keys(), prompt.token_ids, block_size),
         .request_id = arrived.response_id,
         .characters = static_cast<int64_t>(count_characters(prompt.text))});
    if (completions) {
      submission.prompts.back().request_id += "-" + std::to_string(submission.prompts.size() - 1);
    }
  }
  submission.n = request.n;
  submission.sampling = request.sampling;
  submission.sampling.prompt_logprobs = request.prompt_logprobs;
  submission.seed = request.seed;
  submission.stop = request.stop;
  submission.include_stop_in_output = request.include_stop_str_in_output;
  submission.skip_special_tokens = request.skip_special_tokens;
  submission.eos_token_ids = request.eos_token_ids;
  submission.stop_token_ids = request.stop_token_ids;
  submission.ignore_eos = request.ignore_eos;
  submission.allowed_token_ids = request.allowed_token_ids;
  submission.constraint = arrived.constraint;
  submission.priority = request.priority;
  submission.record.endpoint = request.responses != nullptr ? "/v1/responses"
                               : completions                ? "/v1/completions"
                                                            : "/v1/chat/completions";
  submission.record.model = request.adapter ? request.adapter->parent : request.model;
  if (request.adapter) submission.record.adapter = request.adapter->name;
  submission.record.trace = arrived.trace;
  submission.record.http_span_id = arrived.http_span_id;
  submission.record.caller_span_id = arrived.caller_span_id;
  submission.record.own_trace_id = arrived.own_trace_id;
  submission.record.tenant = arrived.tenant;
  if (arrived.content_bytes_max > 0) {
    submission.record.content = content_of(request, arrived.content_bytes_max);
  }
  submission.record.stream = request.stream;
  submission.record.tokenize_ns = arrived.tokenize_ns;
  submission.record.arrival_unix_ns = arrived.arrival_unix_ns;
  submission.record.arrival_ns = arrived.arrival_ns;
  submission.sink = std::move(sink);
  return submission;
}

api::ApiError refusal_of(const engine::Engine& engine, engine::Engine::Admission why) {
  if (engine.failed()) return api::internal_error(engine.failure());
  return api::overloaded(why == engine::Engine::Admission::kClosed
                             ? "The server is shutting down."
                             : "The server has too many requests waiting; try again later.");
}

}  // namespace touchstone::server
