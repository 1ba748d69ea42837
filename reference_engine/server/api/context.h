// What the API knows of the served model: everything that turns a JSON body into a validated
// request besides the body. Immutable while serving, but for the adapters; thread-safe to read.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "reference_engine/chat_template/chat_template.h"
#include "reference_engine/model/config.h"
#include "reference_engine/tokenizer/tokenizer.h"

namespace touchstone::server::api {

/// What "content" of a message is for the chat template.
enum class ContentFormat {
  kAuto,    ///< a list of parts if the template loops over it, else one text
  kString,  ///< one text
  kParts    ///< vLLM's "openai"
};

class AdapterDirectory;
struct ToolParserRow;
struct ReasoningParserRow;

/// What another turn of a conversation starts from. JSON.
struct StoredTurn {
  std::string messages;  ///< an array
  std::string response;  ///< what was answered
};

struct ApiContext {
  /// At least one. Responses carry the first, whichever alias the client used.
  std::vector<std::string> served_model_names;
  /// "root" of the model cards; empty: the first served name.
  std::string model_root;
  const AdapterDirectory* adapters = nullptr;                  ///< null: there are none
  const tokenizer::Tokenizer* tokenizer = nullptr;             ///< outlives the context
  const chat_template::ChatTemplate* chat_template = nullptr;  ///< null: chat is refused
  ContentFormat content_format = ContentFormat::kAuto;
  bool trust_request_chat_template = false;  ///< requests may bring a template of their own
  std::string default_template_kwargs;       ///< a JSON object; empty: none
  std::string response_role = "assistant";
  bool enable_auto_tool_choice = false;
  bool exclude_tools_when_tool_choice_none = false;
  const ToolParserRow* tool_parser = nullptr;            ///< null: calls are not looked for
  const ReasoningParserRow* reasoning_parser = nullptr;  ///< null: everything is content
  /// Of a response that is kept, by its id. Empty: none is kept.
  std::function<std::optional<StoredTurn>(std::string_view id)> stored_turn;
  const Clock* clock = nullptr;  ///< today, for chat templates; null: they do not know it
  std::string bos_token;         ///< text, for the chat template
  std::string eos_token;
  /// The tokenizer's end of sequence: finishes with "stop" and stop_reason null.
  std::optional<int32_t> eos_token_id;
  /// Other ends of generation_config.json: finish with "stop" and their id as stop_reason.
  std::vector<int32_t> extra_eos_token_ids;
  model::GenerationDefaults defaults;  ///< absent values keep vLLM's own
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
  bool keep_messages = false;   ///< requests keep their messages' texts, for who captures content
  int32_t stream_interval = 1;  ///< tokens of a streamed event, at least
  std::string system_fingerprint;  ///< "vllm-<version>-<8 hex>"; empty: null
};

/// Fills bos_token, eos_token, eos_token_id and extra_eos_token_ids (from tokenizer_config.json of
/// `folder`, which need not be there, and `end_ids`, those of the model's configuration) and
/// max_chars_per_token. REQUIRES: context.tokenizer. ERRORS: kMalformed.
Status load_special_tokens(const std::string& folder, const std::vector<int32_t>& end_ids,
                           ApiContext& context);

}  // namespace touchstone::server::api
