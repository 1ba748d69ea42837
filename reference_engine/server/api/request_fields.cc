#include "reference_engine/server/api/request_fields.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "reference_engine/server/api/python_text.h"
#include "reference_engine/server/api/sampling_fields.h"

namespace touchstone::server::api {
namespace {

constexpr size_t kCacheSaltMax = 1024;

}  // namespace

std::optional<ApiError> check_stream_options(const Body& body) {
  if (body.truthy("stream_options") && !body.truthy("stream")) {
    return parameter_error("Stream options can only be defined when `stream=True`.",
                           "stream_options");
  }
  return std::nullopt;
}

std::optional<ApiError> check_logprobs_fields(const Body& body, const char* logprobs_key) {
  for (const char* key : {"prompt_logprobs", logprobs_key}) {
    const nlohmann::json& value = body.raw(key);
    if (!value.is_null() && !value.is_number() && !value.is_boolean()) {
      return parameter_error("`" + std::string(key) + "` must be an integer.", key,
                             value.is_string() ? value.get<std::string>() : python_repr(value));
    }
  }
  const auto number = [&](const char* key) -> std::optional<double> {
    const nlohmann::json& value = body.raw(key);
    if (!value.is_number()) return std::nullopt;
    return value.get<double>();
  };
  const auto prompt = number("prompt_logprobs");
  if (prompt && body.truthy("stream") && (*prompt > 0 || *prompt == -1)) {
    return parameter_error("`prompt_logprobs` are not available when `stream=True`.",
                           "prompt_logprobs");
  }
  for (const char* key : {"prompt_logprobs", logprobs_key}) {
    const auto value = number(key);
    if (value && *value < 0 && *value != -1) {
      return parameter_error("`" + std::string(key) + "` must be a positive value or -1.", key,
                             python_repr(body.raw(key)));
    }
  }
  return std::nullopt;
}

std::optional<ApiError> check_beams(const Body& body, const GenerationRequest& request) {
  if (!request.beams) return std::nullopt;
  if (request.stream) return bad_request("Streaming is not currently supported with beam search");
  if (request.echo && !body.raw("logprobs").is_null()) {
    return parameter_error(
        "`echo` with `logprobs` is not supported with beam search because beam search does not "
        "compute prompt logprobs.",
        "echo");
  }
  if (request.grammar) {
    return bad_request("Structured output is not supported with beam search by this server.");
  }
  return std::nullopt;
}

void read_common_fields(Body& body, const RequestHeaders& headers, const ApiContext& context,
                        GenerationRequest& request) {
  request.stream_interval = static_cast<int32_t>(std::min<int64_t>(
      body.integer("stream_interval", {.low = 1}).value_or(1), context.max_model_len));
  request.stream = body.boolean("stream").value_or(false);
  const bool beams = body.boolean("use_beam_search", Null::kRefused).value_or(false);
  const double penalty = body.number("length_penalty", Null::kRefused).value_or(1.0);
  if (beams) request.beams = BeamOptions{.length_penalty = penalty};
  if (auto options = body.object("stream_options")) {
    const bool wanted =
        !options->has("include_usage") || options->boolean("include_usage").value_or(false);
    request.include_usage = wanted;
    request.continuous_usage_stats =
        wanted && options->boolean("continuous_usage_stats").value_or(false);
  }
  if (context.enable_force_include_usage) {
    request.include_usage = request.continuous_usage_stats = true;
  }
  request.user = body.string("user").value_or("");
  request.priority =
      body.integer("priority", {.null = Null::kRefused, .low = INT64_MIN, .high = INT64_MAX})
          .value_or(0);
  if (headers.x_vllm_priority) {
    // The header wins; one that is no integer is ignored.
    request.priority = parse_int(trim(*headers.x_vllm_priority)).value_or(request.priority);
  }
  request.request_id_base = body.string("request_id", Null::kRefused);
  if (headers.x_request_id) request.request_id_base = headers.x_request_id;
  request.return_tokens_as_token_ids =
      body.boolean("return_tokens_as_token_ids").value_or(context.return_tokens_as_token_ids);
  request.return_token_ids = body.boolean("return_token_ids").value_or(false);
  if (auto salt = body.string("cache_salt")) {
    if (salt->empty()) {
      body.errors().add("string_too_short", body.location("cache_salt"),
                        "String should have at least 1 character", "", "{'min_length': 1}");
    } else if (salt->size() > kCacheSaltMax) {
      body.errors().add("string_too_long", body.location("cache_salt"),
                        "String should have at most 1024 characters", *salt,
                        "{'max_length': 1024}");
    }
    request.cache_salt = *salt;
  }
}

void read_truncation(Body& body, bool add_special_tokens_default, PromptLimits& limits) {
  limits.truncate_prompt_tokens =
      body.integer("truncate_prompt_tokens", {.low = -1, .high = INT64_MAX});
  limits.truncate_left = body.word("truncation_side", {"left", "right"}) != "right";
  limits.add_special_tokens =
      body.boolean("add_special_tokens", Null::kRefused).value_or(add_special_tokens_default);
}

std::optional<ApiError> check_model(const std::optional<std::string>& name,
                                    const ApiContext& context,
                                    std::shared_ptr<const ServedAdapter>* adapter) {
  const auto& served = context.served_model_names;
  if (!name || name->empty() || std::find(served.begin(), served.end(), *name) != served.end()) {
    return std::nullopt;
  }
  if (context.adapters != nullptr) {
    if (auto found = context.adapters->find(*name)) {
      if (adapter != nullptr) *adapter = std::move(found);
      return std::nullopt;
    }
  }
  return ApiError{
      404, "NotFoundError",
      "The model `" + *name + "` does not exist. Valid aliases: " + join(served, ", ") + ".",
      "model"};
}

std::optional<ApiError> choose_model(const std::optional<std::string>& name,
                                     const ApiContext& context, GenerationRequest& request) {
  if (auto error = check_model(name, context, &request.adapter)) return error;
  request.model = request.adapter ? request.adapter->name : context.served_model_names.front();
  return std::nullopt;
}

}  // namespace touchstone::server::api
