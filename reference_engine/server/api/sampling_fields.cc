#include "reference_engine/server/api/sampling_fields.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "reference_engine/server/api/python_text.h"

namespace touchstone::server::api {
namespace {

// vLLM's VLLM_MAX_N_SEQUENCES.
constexpr int64_t kNMax = 16384;
// Below this a temperature is greedy; between this and the floor it is raised to the floor.
constexpr double kGreedyBelow = 1e-5;
constexpr double kTemperatureFloor = 1e-2;
constexpr double kLogitBiasMax = 100.0;
// Each is looked at for every token of every choice, so very many would slow others down.
constexpr size_t kListedMax = 1024;

std::string integers_repr(const std::vector<int64_t>& values) {
  std::string out = "[";
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ", ";
    out += std::to_string(values[i]);
  }
  return out + "]";
}

std::string strings_repr(const std::vector<std::string>& values) {
  std::string out = "[";
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ", ";
    out += python_repr(std::string_view(values[i]));
  }
  return out + "]";
}

ApiError range_error(const char* name, const char* range, double value) {
  const std::string repr = python_repr(value);
  return parameter_error(std::string(name) + " must be " + range + ", got " + repr + ".", name,
                         repr);
}

std::optional<ApiError> check_n(int64_t n) {
  if (n < 1) return bad_request("n must be at least 1, got " + std::to_string(n) + ".");
  if (n > kNMax) {
    return bad_request("n must be at most " + std::to_string(kNMax) + ", got " + std::to_string(n) +
                       ". To increase this limit, set the VLLM_MAX_N_SEQUENCES environment "
                       "variable.");
  }
  return std::nullopt;
}

// Each choice is a sequence from its arrival on, so their number is memory.
std::optional<ApiError> check_choices(int64_t n, size_t prompts, const ApiContext& context) {
  const int64_t choices = n * static_cast<int64_t>(prompts);
  if (choices <= context.max_choices) return std::nullopt;
  return parameter_error("This server makes at most " + std::to_string(context.max_choices) +
                             " choices per request (--max-choices). However, you requested " +
                             std::to_string(prompts) + " prompts with n=" + std::to_string(n) +
                             ", for a total of " + std::to_string(choices) + " choices.",
                         "n", std::to_string(n));
}

std::optional<ApiError> check_penalties(const sampling::Params& params) {
  for (const auto& [name, value] : {std::pair{"presence_penalty", params.presence_penalty},
                                    {"frequency_penalty", params.frequency_penalty}}) {
    if (!(value >= -2.0 && value <= 2.0)) {
      return bad_request(std::string(name) + " must be in [-2, 2], got " + python_repr(value) +
                         ".");
    }
  }
  if (!(params.repetition_penalty > 0.0)) {
    return bad_request("repetition_penalty must be greater than zero, got " +
                       python_repr(params.repetition_penalty) + ".");
  }
  return std::nullopt;
}

std::optional<ApiError> check_ranges(const sampling::Params& params, int64_t top_k) {
  if (auto error = check_penalties(params)) return error;
  if (params.temperature < 0.0)
    return range_error("temperature", "non-negative", params.temperature);
  if (params.temperature > 2.0) return range_error("temperature", "in [0, 2]", params.temperature);
  if (!(params.top_p > 0.0 && params.top_p <= 1.0)) {
    return range_error("top_p", "in (0, 1]", params.top_p);
  }
  if (top_k < -1) {
    return bad_request("top_k must be 0 (disable), or at least 1, got " + std::to_string(top_k) +
                       ".");
  }
  if (!(params.min_p >= 0.0 && params.min_p <= 1.0)) {
    return bad_request("min_p must be in [0, 1], got " + python_repr(params.min_p) + ".");
  }
  return std::nullopt;
}

std::optional<ApiError> check_lengths(const SamplingFields& fields,
                                      const std::vector<Prompt>& prompts) {
  for (const Prompt& prompt : prompts) {
    const std::string max = std::to_string(prompt.max_tokens);
    if (prompt.max_tokens < 1) {
      return parameter_error("max_tokens must be at least 1, got " + max + ".", "max_tokens", max);
    }
    if (fields.min_tokens < 0) {
      return bad_request("min_tokens must be greater than or equal to 0, got " +
                         std::to_string(fields.min_tokens) + ".");
    }
    if (fields.min_tokens > prompt.max_tokens) {
      return bad_request("min_tokens must be less than or equal to max_tokens=" + max + ", got " +
                         std::to_string(fields.min_tokens) + ".");
    }
  }
  return std::nullopt;
}

std::optional<ApiError> check_words(const SamplingFields& fields) {
  const auto has_empty = [](const std::vector<std::string>& words) {
    return std::any_of(words.begin(), words.end(), [](const auto& word) { return word.empty(); });
  };
  if (has_empty(fields.stop)) return bad_request("stop cannot contain an empty string.");
  if (has_empty(fields.bad_words)) {
    return bad_request("bad_words cannot contain an empty string. Got bad_words=" +
                       strings_repr(fields.bad_words));
  }
  return std::nullopt;
}

std::optional<ApiError> check_logprobs(std::optional<int64_t> count, const char* kind,
                                       const char* parameter, const ApiContext& context) {
  if (!count) return std::nullopt;
  const int64_t wanted = *count == -1 ? context.vocab_size : *count;
  const int64_t limit = context.max_logprobs == -1 ? context.vocab_size : context.max_logprobs;
  if (wanted <= limit) return std::nullopt;
  return parameter_error("Requested " + std::string(kind) + " logprobs of " +
                             std::to_string(wanted) +
                             ", which is greater than max allowed: " + std::to_string(limit),
                         parameter, std::to_string(wanted));
}

std::optional<ApiError> check_in_vocabulary(const std::vector<int64_t>& ids, const char* parameter,
                                            const ApiContext& context) {
  std::vector<int64_t> outside;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(outside),
               [&](int64_t id) { return id < 0 || id >= context.vocab_size; });
  if (outside.empty()) return std::nullopt;
  return parameter_error(
      "token_id(s) " + integers_repr(outside) + " in " + parameter +
          " contain out-of-vocab token ids. Vocabulary size: " + std::to_string(context.vocab_size),
      parameter, integers_repr(outside));
}

std::optional<ApiError> resolve_logit_bias(const SamplingFields& fields, const ApiContext& context,
                                           GenerationRequest& request) {
  std::vector<std::string> bad_names;
  std::vector<int64_t> ids;
  for (const auto& [name, bias] : fields.logit_bias) {
    const auto id = parse_int(trim(name));
    if (!id) {
      bad_names.push_back(name);
      continue;
    }
    ids.push_back(*id);
    const double clamped = std::clamp(bias, -kLogitBiasMax, kLogitBiasMax);
    request.sampling.logit_bias.emplace_back(static_cast<int32_t>(*id),
                                             static_cast<float>(clamped));
  }
  if (!bad_names.empty()) {
    return parameter_error(
        "logit_bias contains key(s) that cannot be converted to integer token "
        "IDs: " +
            strings_repr(bad_names),
        "logit_bias", strings_repr(bad_names));
  }
  if (auto error = check_in_vocabulary(ids, "logit_bias", context)) return error;
  std::sort(request.sampling.logit_bias.begin(), request.sampling.logit_bias.end());
  return std::nullopt;
}

// A word may be said at the start of text or after a space; the spaced form counts when it is
// another token sequence of the same length.
std::optional<ApiError> resolve_bad_words(const SamplingFields& fields, const ApiContext& context,
                                          GenerationRequest& request) {
  auto& sequences = request.sampling.bad_words;
  for (const std::string& word : fields.bad_words) {
    const size_t begin = std::min(word.find_first_not_of(" \t\n\r\v\f"), word.size());
    const std::string bare = word.substr(begin);
    auto tokens = context.tokenizer->encode(bare, false);
    if (tokens.empty()) {
      return parameter_error("bad_words entries must tokenize to at least one token.", "bad_words",
                             strings_repr(fields.bad_words));
    }
    const auto spaced = context.tokenizer->encode(" " + bare, false);
    const bool another = spaced.size() == tokens.size() && spaced[0] != tokens[0];
    sequences.push_back(std::move(tokens));
    if (another) sequences.push_back(spaced);
  }
  return std::nullopt;
}

std::optional<ApiError> check_counts(const SamplingFields& fields) {
  const auto check = [](const char* name, size_t count) -> std::optional<ApiError> {
    if (count <= kListedMax) return std::nullopt;
    return parameter_error(std::string(name) + " has " + std::to_string(count) +
                               " entries; this server takes at most " + std::to_string(kListedMax) +
                               ".",
                           name);
  };
  if (auto error = check("stop_token_ids", fields.stop_token_ids.size())) return error;
  return check("bad_words", fields.bad_words.size());
}

std::optional<ApiError> resolve_allowed(const SamplingFields& fields, const ApiContext& context,
                                        GenerationRequest& request) {
  if (!fields.allowed_token_ids) return std::nullopt;
  if (fields.allowed_token_ids->empty()) {
    return parameter_error("allowed_token_ids is not None and empty!", "allowed_token_ids", "[]");
  }
  std::vector<int64_t> outside;
  for (const int64_t id : *fields.allowed_token_ids) {
    if (id < 0 || id >= context.vocab_size) {
      outside.push_back(id);
    } else {
      request.allowed_token_ids.push_back(static_cast<int32_t>(id));
    }
  }
  if (outside.empty()) return std::nullopt;
  return parameter_error("allowed_token_ids contains out-of-vocab token id!", "allowed_token_ids",
                         integers_repr(outside));
}

void resolve_stops(const SamplingFields& fields, const ApiContext& context,
                   GenerationRequest& request) {
  std::vector<int32_t> all(fields.stop_token_ids.begin(), fields.stop_token_ids.end());
  request.stop = fields.stop;
  request.ignore_eos = fields.ignore_eos;
  request.stop_token_ids = all;
  if (!fields.ignore_eos) {
    if (context.eos_token_id) request.eos_token_ids = {*context.eos_token_id};
    request.stop_token_ids.insert(request.stop_token_ids.end(), context.extra_eos_token_ids.begin(),
                                  context.extra_eos_token_ids.end());
  }
  if (fields.min_tokens > 0) {
    // Also with ignore_eos: before min_tokens no end of sequence may appear at all.
    if (context.eos_token_id) all.push_back(*context.eos_token_id);
    all.insert(all.end(), context.extra_eos_token_ids.begin(), context.extra_eos_token_ids.end());
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    request.sampling.masked_before_min_tokens = all;
  }
}

void resolve_numbers(const SamplingFields& fields, const model::GenerationDefaults& defaults,
                     sampling::Params& params) {
  params.temperature = fields.temperature.value_or(defaults.temperature.value_or(1.0));
  params.top_p = fields.top_p.value_or(defaults.top_p.value_or(1.0));
  params.min_p = fields.min_p.value_or(defaults.min_p.value_or(0.0));
  params.repetition_penalty =
      fields.repetition_penalty.value_or(defaults.repetition_penalty.value_or(1.0));
  params.presence_penalty = fields.presence_penalty.value_or(0.0);
  params.frequency_penalty = fields.frequency_penalty.value_or(0.0);
  if (params.temperature > 0 && params.temperature < kTemperatureFloor) {
    params.temperature = kTemperatureFloor;
  }
}

}  // namespace

ApiError bad_request(std::string message) {
  return {400, "BadRequestError", std::move(message), std::nullopt};
}

ApiError parameter_error(const std::string& message, const std::string& parameter,
                         const std::optional<std::string>& value) {
  return {400, "BadRequestError",
          message + " (parameter=" + parameter + (value ? ", value=" + *value : "") + ")",
          parameter};
}

SamplingFields read_sampling_fields(Body& body, const ApiContext& context) {
  SamplingFields fields;
  fields.frequency_penalty = body.number("frequency_penalty");
  fields.logit_bias = body.numbers_by_name("logit_bias");
  fields.presence_penalty = body.number("presence_penalty");
  fields.seed = body.integer("seed", {.low = INT64_MIN, .high = INT64_MAX});
  fields.stop = body.string_or_strings("stop", static_cast<size_t>(context.max_stop_strings));
  fields.temperature = body.number("temperature");
  fields.top_p = body.number("top_p");
  fields.top_k = body.integer("top_k");
  fields.min_p = body.number("min_p");
  fields.repetition_penalty = body.number("repetition_penalty");
  fields.stop_token_ids = body.integers("stop_token_ids");
  fields.include_stop_str_in_output =
      body.boolean("include_stop_str_in_output", Null::kRefused).value_or(false);
  fields.ignore_eos = body.boolean("ignore_eos", Null::kRefused).value_or(false);
  fields.min_tokens = body.integer("min_tokens", {.null = Null::kRefused}).value_or(0);
  fields.skip_special_tokens = body.boolean("skip_special_tokens", Null::kRefused).value_or(true);
  fields.spaces_between_special_tokens =
      body.boolean("spaces_between_special_tokens", Null::kRefused).value_or(true);
  fields.bad_words = body.strings("bad_words");
  if (!body.raw("allowed_token_ids").is_null()) {
    fields.allowed_token_ids = body.integers("allowed_token_ids");
  }
  return fields;
}

std::optional<ApiError> resolve_sampling(const SamplingFields& fields, const ApiContext& context,
                                         GenerationRequest& request) {
  sampling::Params& params = request.sampling;
  resolve_numbers(fields, context.defaults, params);
  const int64_t top_k = fields.top_k.value_or(context.defaults.top_k.value_or(0));
  if (auto error = check_n(fields.n)) return error;
  if (auto error = check_choices(fields.n, request.prompts.size(), context)) return error;
  if (auto error = check_ranges(params, top_k)) return error;
  if (auto error = check_lengths(fields, request.prompts)) return error;
  if (auto error = check_words(fields)) return error;
  if (auto error = check_counts(fields)) return error;
  params.top_k =
      top_k <= 0 ? 0 : static_cast<int32_t>(std::min<int64_t>(top_k, context.vocab_size));
  if (params.temperature < kGreedyBelow) {
    params.temperature = 0;
    params.top_p = 1.0;
    params.top_k = 0;
    params.min_p = 0.0;
    if (fields.n > 1 && !request.beams) {
      return bad_request("n must be 1 when using greedy sampling, got " + std::to_string(fields.n) +
                         ".");
    }
  }
  // Each step of a search asks for so many.
  const auto looked_at = request.beams ? std::optional<int64_t>(2 * fields.n) : std::nullopt;
  if (auto error = check_logprobs(looked_at, "sample", "logprobs", context)) return error;
  if (auto error = check_logprobs(fields.logprobs, "sample", "logprobs", context)) return error;
  if (auto error = check_logprobs(fields.prompt_logprobs, "prompt", "prompt_logprobs", context)) {
    return error;
  }
  if (auto error = resolve_logit_bias(fields, context, request)) return error;
  if (auto error = check_in_vocabulary(fields.stop_token_ids, "stop_token_ids", context)) {
    return error;
  }
  if (auto error = resolve_bad_words(fields, context, request)) return error;
  if (auto error = resolve_allowed(fields, context, request)) return error;
  const auto count = [&](std::optional<int64_t> wanted) -> std::optional<int32_t> {
    if (!wanted) return std::nullopt;
    return static_cast<int32_t>(*wanted == -1 ? context.vocab_size : *wanted);
  };
  request.logprobs = params.logprobs = count(fields.logprobs);
  request.prompt_logprobs = params.prompt_logprobs = count(fields.prompt_logprobs);
  request.n = static_cast<int32_t>(fields.n);
  request.seed = fields.seed == -1 ? std::nullopt : fields.seed;
  request.min_tokens = params.min_tokens = static_cast<int32_t>(fields.min_tokens);
  request.include_stop_str_in_output = fields.include_stop_str_in_output;
  request.skip_special_tokens = fields.skip_special_tokens;
  request.spaces_between_special_tokens = fields.spaces_between_special_tokens;
  resolve_stops(fields, context, request);
  return std::nullopt;
}

}  // namespace touchstone::server::api
