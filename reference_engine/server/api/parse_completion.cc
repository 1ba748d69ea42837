// POST /v1/completions: body to GenerationRequest.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "reference_engine/server/api/generation_request.h"
#include "reference_engine/server/api/known_fields.h"
#include "reference_engine/server/api/prompts.h"
#include "reference_engine/server/api/request_fields.h"
#include "reference_engine/server/api/sampling_fields.h"
#include "reference_engine/server/api/schema.h"
#include "reference_engine/server/api/structured_outputs.h"

namespace touchstone::server::api {
namespace {

using nlohmann::json;

constexpr int64_t kDefaultMaxTokens = 16;

std::optional<ApiError> check_before_fields(const Body& body, const ApiContext& context) {
  const json& prompt = body.raw("prompt");
  if (prompt.is_array() && !prompt.empty() && !prompt[0].is_number() &&
      prompt.size() > static_cast<size_t>(context.max_prompts)) {
    return parameter_error("prompt list length " + std::to_string(prompt.size()) +
                               " exceeds the maximum allowed count of " +
                               std::to_string(context.max_prompts) +
                               ". To increase this limit, set the VLLM_MAX_COMPLETION_PROMPTS "
                               "environment variable.",
                           "prompt");
  }
  const bool no_embeds = body.raw("prompt_embeds").empty();
  if (no_embeds && (prompt.is_null() || prompt == "")) {
    return parameter_error("Either prompt or prompt_embeds must be provided and non-empty.",
                           "prompt");
  }
  if (auto error = check_stream_options(body)) return error;
  if (auto error = check_logprobs_fields(body, "logprobs")) return error;
  return check_structured_fields(body);
}

bool is_token_id(const json& value) {
  return (value.is_number_integer() && value.get<int64_t>() >= 0) || value.is_boolean();
}

bool is_token_list(const json& value) {
  return value.is_array() && std::all_of(value.begin(), value.end(), is_token_id);
}

RawTokens token_list(const json& value) {
  RawTokens tokens;
  for (const json& id : value) {
    const int64_t number = id.is_boolean() ? (id.get<bool>() ? 1 : 0) : id.get<int64_t>();
    tokens.ids.push_back(static_cast<int32_t>(std::min<int64_t>(number, INT32_MAX)));
    if (number > INT32_MAX) tokens.too_large = std::max(number, tokens.too_large.value_or(0));
  }
  return tokens;
}

void check_token_id(const json& value, const std::string& location, SchemaErrors& errors) {
  const auto id = to_integer(value, location, errors);
  if (id && *id < 0) {
    errors.add("greater_than_equal", location, "Input should be greater than or equal to 0", value,
               "{'ge': 0}");
  }
}

// The prompt fits none of its four forms; each says why, as pydantic's unions do.
void explain_prompt(const json& prompt, SchemaErrors& errors) {
  const std::string location = "body.prompt";
  const auto each = [&](const auto& visit) {
    if (!prompt.is_array()) {
      errors.add("list_type", location, "Input should be a valid list", prompt);
      return;
    }
    for (size_t i = 0; i < prompt.size(); ++i) visit(prompt[i], location + "." + std::to_string(i));
  };
  each([&](const json& id, const std::string& at) { check_token_id(id, at, errors); });
  each([&](const json& list, const std::string& at) {
    if (!list.is_array()) {
      errors.add("list_type", at, "Input should be a valid list", list);
      return;
    }
    for (size_t i = 0; i < list.size(); ++i) {
      check_token_id(list[i], at + "." + std::to_string(i), errors);
    }
  });
  errors.add("string_type", location, "Input should be a valid string", prompt);
  each([&](const json& text, const std::string& at) {
    if (!text.is_string()) errors.add("string_type", at, "Input should be a valid string", text);
  });
}

std::vector<RawPrompt> read_prompts(const json& prompt, SchemaErrors& errors) {
  if (prompt.is_string()) return {prompt.get<std::string>()};
  if (prompt.is_null() || (prompt.is_array() && prompt.empty())) return {};
  if (is_token_list(prompt)) return {token_list(prompt)};
  std::vector<RawPrompt> prompts;
  const bool texts = prompt.is_array() && prompt[0].is_string();
  const bool fits =
      prompt.is_array() && std::all_of(prompt.begin(), prompt.end(), [&](const json& each) {
        return texts ? each.is_string() : is_token_list(each);
      });
  if (!fits) {
    explain_prompt(prompt, errors);
    return {};
  }
  for (const json& each : prompt) {
    if (texts) {
      prompts.emplace_back(each.get<std::string>());
    } else {
      prompts.emplace_back(token_list(each));
    }
  }
  return prompts;
}

struct CompletionBody {
  std::optional<std::string> model;
  std::vector<RawPrompt> prompts;
  std::optional<std::string> suffix;
  SamplingFields sampling;
  PromptLimits limits;
};

CompletionBody read_fields(Body& body, const RequestHeaders& headers, const ApiContext& context,
                           GenerationRequest& request) {
  CompletionBody fields;
  fields.model = body.string("model");
  fields.prompts = read_prompts(body.raw("prompt"), body.errors());
  request.echo = body.boolean("echo").value_or(false);
  const auto logprobs = body.integer("logprobs");
  fields.limits.max_tokens = body.integer("max_tokens").value_or(kDefaultMaxTokens);
  const int64_t n = body.integer("n", {.null = Null::kRefused}).value_or(1);
  fields.suffix = body.string("suffix");
  fields.sampling = read_sampling_fields(body, context);
  fields.sampling.n = n;
  fields.sampling.logprobs = logprobs;
  fields.sampling.prompt_logprobs = body.integer("prompt_logprobs");
  if (!fields.sampling.prompt_logprobs && request.echo) fields.sampling.prompt_logprobs = logprobs;
  read_truncation(body, true, fields.limits);
  read_common_fields(body, headers, context, request);
  read_refused_fields(body, BodyKind::kCompletion);
  return fields;
}

std::optional<ApiError> fill(CompletionBody& fields, const ApiContext& context,
                             GenerationRequest& request) {
  if (fields.suffix && !fields.suffix->empty()) {
    return ApiError{400, "BadRequestError",
                    "suffix is only supported for models with FIM completion rendering", "suffix"};
  }
  if (auto error = check_limits(fields.limits, context)) return error;
  if (fields.prompts.empty()) return bad_request("You must pass at least one prompt");
  request.prompt_only = request.echo && fields.limits.max_tokens == 0;
  // One token is computed, and not shown: it needs its place as any other does.
  if (request.prompt_only) fields.limits.max_tokens = 1;
  for (const RawPrompt& raw : fields.prompts) {
    auto prompt = make_prompt(raw, fields.limits, context);
    if (auto* error = std::get_if<ApiError>(&prompt)) return *error;
    request.prompts.push_back(std::move(std::get<Prompt>(prompt)));
  }
  if (auto error = resolve_sampling(fields.sampling, context, request)) return error;
  return check_vocabulary(request.prompts, context);
}

}  // namespace

std::string_view response_id_prefix(Endpoint endpoint) {
  return endpoint == Endpoint::kCompletions ? "cmpl-" : "chatcmpl-";
}

ParsedGeneration parse_completion(std::string_view text, const RequestHeaders& headers,
                                  const ApiContext& context) {
  BASE_CHECK(context.tokenizer != nullptr && !context.served_model_names.empty());
  json tree;
  if (auto error = parse_body(text, headers.content_type, tree)) return *error;
  SchemaErrors errors;
  Body body(tree, errors);
  if (auto error = check_before_fields(body, context)) return *error;
  GenerationRequest request;
  request.endpoint = Endpoint::kCompletions;
  CompletionBody fields = read_fields(body, headers, context, request);
  const bool structured =
      !body.raw("response_format").is_null() || !body.raw("structured_outputs").is_null();
  request.grammar = read_structured_fields(
      body, structured ? nlohmann::ordered_json::parse(text) : nlohmann::ordered_json());
  if (!errors.empty()) return errors.to_api_error();
  if (auto error = check_beams(body, request)) return *error;
  if (auto error = choose_model(fields.model, context, request)) return *error;
  if (!body.raw("prompt_embeds").empty()) {
    return bad_request("You must set `--enable-prompt-embeds` to input `prompt_embeds`.");
  }
  if (auto error = refuse_unsupported(body, BodyKind::kCompletion)) return *error;
  if (auto error = fill(fields, context, request)) return *error;
  request.unknown_fields = unknown_fields(body, BodyKind::kCompletion);
  return request;
}

}  // namespace touchstone::server::api
