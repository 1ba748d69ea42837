// POST /tokenize and /detokenize.
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "reference_engine/server/api/chat_rendering.h"
#include "reference_engine/server/api/generation_request.h"
#include "reference_engine/server/api/known_fields.h"
#include "reference_engine/server/api/messages.h"
#include "reference_engine/server/api/request_fields.h"
#include "reference_engine/server/api/sampling_fields.h"
#include "reference_engine/server/api/schema.h"
#include "reference_engine/server/api/tools.h"

namespace touchstone::server::api {

using nlohmann::json;

std::variant<TokenizeRequest, ApiError> parse_tokenize(std::string_view text,
                                                       const RequestHeaders& headers,
                                                       const ApiContext& context) {
  BASE_CHECK(context.tokenizer != nullptr);
  json tree;
  if (auto error = parse_body(text, headers.content_type, tree)) return *error;
  SchemaErrors errors;
  Body body(tree, errors);
  const auto model = body.string("model");
  const bool chat = body.has("messages");
  TokenizeRequest request;
  std::optional<std::string> prompt;
  ChatOptions options;
  if (chat) {
    check_messages(body);
    read_chat_options(body, options);
    if (!body.raw("tools").is_null()) {
      options.tools = read_tool_definitions(body, nlohmann::ordered_json::parse(text));
    }
  } else {
    prompt = body.string("prompt", Null::kRefused);
    if (!body.has("prompt")) {
      errors.add("missing", body.location("prompt"), "Field required", tree);
    }
  }
  // A template writes its own special tokens.
  const bool special = body.boolean("add_special_tokens", Null::kRefused).value_or(!chat);
  request.return_token_strs = body.boolean("return_token_strs").value_or(false);
  if (!errors.empty()) return errors.to_api_error();
  if (auto error = check_model(model, context)) return *error;
  if (chat) {
    auto rendered = render_chat(tree["messages"], options, context);
    if (auto* error = std::get_if<ApiError>(&rendered)) return *error;
    prompt = std::move(std::get<std::string>(rendered));
  }
  request.token_ids = context.tokenizer->encode(*prompt, special);
  request.unknown_fields = unknown_fields(body, BodyKind::kTokenize);
  return request;
}

std::variant<DetokenizeRequest, ApiError> parse_detokenize(std::string_view text,
                                                           const RequestHeaders& headers,
                                                           const ApiContext& context) {
  BASE_CHECK(context.tokenizer != nullptr);
  json tree;
  if (auto error = parse_body(text, headers.content_type, tree)) return *error;
  SchemaErrors errors;
  Body body(tree, errors);
  const auto model = body.string("model");
  if (!body.has("tokens")) errors.add("missing", body.location("tokens"), "Field required", tree);
  const auto tokens = body.integers("tokens", Null::kRefused);
  if (!errors.empty()) return errors.to_api_error();
  if (auto error = check_model(model, context)) return *error;
  DetokenizeRequest request;
  request.unknown_fields = unknown_fields(body, BodyKind::kDetokenize);
  for (const int64_t id : tokens) {
    if (id < 0 || id >= std::max(context.vocab_size, context.tokenizer->vocab_size())) {
      return bad_request("Token id " + std::to_string(id) + " is out of vocabulary");
    }
    request.token_ids.push_back(static_cast<int32_t>(id));
  }
  return request;
}

}  // namespace touchstone::server::api
