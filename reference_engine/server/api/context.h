// What the API knows of the served model: everything that turns a JSON body into a validated
// request besides the body. Immutable while serving; thread-safe to read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "reference_engine/chat_template/chat_template.h"
#include "reference_engine/tokenizer/tokenizer.h"

namespace touchstone::server::api {

/// Sampling defaults of generation_config.json; absent values keep vLLM's own.
struct GenerationDefaults {
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<int32_t> top_k;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
  std::optional<int32_t> max_tokens;  ///< max_new_tokens
};

struct ApiContext {
  /// At least one. Responses carry the first, whichever alias the client used.
  std::vector<std::string> served_model_names;
  /// "root" of the model cards; empty: the first served name.
  std::string model_root;
  const tokenizer::Tokenizer* tokenizer = nullptr;             ///< outlives the context
  const chat_template::ChatTemplate* chat_template = nullptr;  ///< null: chat is refused
  const Clock* clock = nullptr;  ///< today, for chat templates; null: they do not know it
  std::string bos_token;         ///< text, for the chat template
  std::string eos_token;
  /// The tokenizer's end of sequence: finishes with "stop" and stop_reason null.
  std::optional<int32_t> eos_token_id;
  /// Other ends of generation_config.json: finish with "stop" and their id as stop_reason.
  std::vector<int32_t> extra_eos_token_ids;
  GenerationDefaults defaults;
  int32_t max_model_len = 2048;
  int32_t vocab_size = 0;           ///< the model's: ids below it may be sent
  int32_t max_chars_per_token = 1;  ///< longest token's text, in characters
  int32_t max_logprobs = 20;        ///< --max-logprobs; -1: no limit
  int32_t max_stop_strings = 4;
  int32_t max_prompts = 1024;
  int32_t max_choices = 1024;  ///< prompts × n of one request
  bool enable_prompt_tokens_details = false;
  bool enable_force_include_usage = false;
  bool return_tokens_as_token_ids = false;
  bool keep_messages = false;  ///< requests keep their messages' texts, for who captures content
  std::string system_fingerprint;  ///< "vllm-<version>-<8 hex>"; empty: null
};

/// Fills bos_token, eos_token, eos_token_id, extra_eos_token_ids, defaults (from
/// tokenizer_config.json, generation_config.json and config.json of `folder`) and
/// max_chars_per_token (from context.tokenizer, which must be set).
/// ERRORS: kMalformed. A missing file is not an error.
Status load_model_defaults(const std::string& folder, ApiContext& context);

}  // namespace touchstone::server::api
