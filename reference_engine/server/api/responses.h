// POST /v1/responses: a body becomes the chat that it means, and the chat's answer a response,
// whole or as events. Whether responses are kept, to be gone on from, the context says
// (stored_turn), as VLLM_ENABLE_RESPONSES_API_STORE does in vLLM. Pure; thread-compatible. Source:
// vLLM 0.32.0 entrypoints/openai/responses/{protocol,serving,streaming_events}.py.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "reference_engine/server/api/response.h"

namespace touchstone::server::api {

/// The chat request that the body means; request.responses holds what the answer repeats of it.
ParsedGeneration parse_responses(std::string_view body, const RequestHeaders& headers,
                                 const ApiContext& context);
/// 404 for a response that is not kept.
ApiError no_such_response(std::string_view id);

/// What one in the background is answered at first. REQUIRES: request.responses.
std::string responses_queued(const GenerationRequest& request, const ResponseHead& head);

/// The whole answer. REQUIRES: request.responses.
std::string responses_answer(const GenerationRequest& request, const ResponseHead& head,
                             const Choice& choice, const PromptResult& prompt);

/// The events of a streamed answer.
class ResponsesStream final : public AnswerStream {
 public:
  /// `request` outlives this. REQUIRES: request.responses.
  ResponsesStream(const GenerationRequest& request, ResponseHead head);

  std::string prompt_done(size_t prompt_index, const PromptResult& result) override;
  std::string delta(const Choice& choice) override;
  std::string finish() override;
  std::string fail(const ApiError& error) override;

 private:
  enum class Item { kNone, kReasoning, kMessage, kCall };

  void event(const char* type, nlohmann::ordered_json fields, std::string& out);
  void open(Item item, std::string& out);
  void open_call(const ToolCallDelta& call, std::string& out);
  void close(std::string& out);
  void text(Item item, const std::string& delta, std::string& out);
  nlohmann::ordered_json place() const;

  const GenerationRequest& request_;
  const ResponseHead head_;
  AnswerParser parser_;
  PromptResult prompt_;
  Choice whole_;  // tokens and finish reason, for the last event
  Item item_ = Item::kNone;
  int output_index_ = -1;
  int sequence_ = 0;
  size_t call_ = 0;
  std::string said_;  // of the item
  std::string name_;
  nlohmann::ordered_json output_ = nlohmann::ordered_json::array();
};

}  // namespace touchstone::server::api
