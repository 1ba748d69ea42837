#include "reference_engine/server/front_end.h"

#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>
#include <variant>

#include "base/files.h"
#include "base/text.h"
#include "base/version.h"
#include "reference_engine/model/loaded_model.h"
#include "reference_engine/server/api/parsers/reasoning_parser.h"
#include "reference_engine/server/api/parsers/tool_parser.h"

namespace touchstone::server {
namespace {

using Log = ServerLog::Write;

Status load_generation_defaults(const ServeOptions& options, api::ApiContext& context) {
  model::GenerationDefaults own;
  auto config = model::load_config(options.model, &own);
  if (!config) return std::move(config).error();
  if (options.generation_config == "auto") {
    context.defaults = own;
  } else if (options.generation_config != "vllm") {
    auto other = model::load_generation_defaults(options.generation_config);
    if (!other) return std::move(other).error().with_context("--generation-config");
    context.defaults = *other;
  }
  if (!options.override_generation_config.empty()) {
    const auto over = model::parse_generation_config("--override-generation-config",
                                                     options.override_generation_config, *config,
                                                     model::OtherKeys::kRefused);
    if (!over) return over.error();
    context.defaults = model::overridden(context.defaults, *over);
  }
  const std::string& tokenizer = options.tokenizer.empty() ? options.model : options.tokenizer;
  return api::load_special_tokens(tokenizer, config->eos_token_ids, context);
}

Result<std::unique_ptr<chat_template::ChatTemplate>> load_chat_template(const ServeOptions& options,
                                                                        const Log& log) {
  const std::string& given = options.chat.chat_template;
  auto chat_template = given.empty() ? chat_template::ChatTemplate::load(options.model)
                                     : chat_template::ChatTemplate::of_argument(given);
  if (!chat_template && chat_template.error().code == ErrorCode::kNotFound) {
    log("no chat template: /v1/chat/completions is refused; --chat-template names one");
    return std::unique_ptr<chat_template::ChatTemplate>();
  }
  return chat_template;
}

/// The row of `name`; null for the empty name.
template <typename Row>
Result<const Row*> find_parser(const char* flag, const std::string& name,
                               std::span<const Row> rows) {
  std::vector<std::string> names;
  for (const Row& row : rows) {
    if (name == row.name) return &row;
    names.emplace_back(row.name);
  }
  if (name.empty()) return static_cast<const Row*>(nullptr);
  return invalid_argument(std::string(flag) + ": got " + quote(name) + ", expected one of " +
                          join(names, ", "));
}

Status choose_parsers(const ChatServeOptions& chat, api::ApiContext& context) {
  const auto tools = find_parser("--tool-call-parser", chat.tool_call_parser, api::tool_parsers());
  if (!tools) return tools.error();
  const auto reasoning =
      find_parser("--reasoning-parser", chat.reasoning_parser, api::reasoning_parsers());
  if (!reasoning) return reasoning.error();
  if (chat.enable_auto_tool_choice && *tools == nullptr) {
    return invalid_argument("--enable-auto-tool-choice requires --tool-call-parser");
  }
  context.tool_parser = *tools;
  context.reasoning_parser = *reasoning;
  context.enable_auto_tool_choice = chat.enable_auto_tool_choice;
  context.exclude_tools_when_tool_choice_none = chat.exclude_tools_when_tool_choice_none;
  return {};
}

Status set_chat_options(const ChatServeOptions& chat, api::ApiContext& context) {
  static const std::map<std::string, api::ContentFormat> kFormats = {
      {"auto", api::ContentFormat::kAuto},
      {"string", api::ContentFormat::kString},
      {"openai", api::ContentFormat::kParts}};
  const auto format = kFormats.find(chat.content_format);
  if (format == kFormats.end()) {
    return invalid_argument("--chat-template-content-format: got " + quote(chat.content_format) +
                            ", expected auto, string or openai");
  }
  context.content_format = format->second;
  context.trust_request_chat_template = chat.trust_request_chat_template;
  context.response_role = chat.response_role;
  context.default_template_kwargs = chat.default_template_kwargs;
  if (!chat.default_template_kwargs.empty() &&
      !nlohmann::json::parse(chat.default_template_kwargs, nullptr, false).is_object()) {
    return invalid_argument("--default-chat-template-kwargs: got " +
                            quote(chat.default_template_kwargs) + ", expected a JSON object");
  }
  return choose_parsers(chat, context);
}

}  // namespace

std::string model_name(const ServeOptions& options) {
  return options.model_name.empty() ? options.model : options.model_name;
}

/// The answer to GET /tokenizer_info: tokenizer_config.json and the chat template.
Result<std::string> tokenizer_info(const ServeOptions& options) {
  const std::string& folder = options.tokenizer.empty() ? options.model : options.tokenizer;
  const std::string path = folder + "/tokenizer_config.json";
  const auto text = read_file(path);
  if (!text) return Error{text.error()}.with_context("--enable-tokenizer-info-endpoint");
  auto info = nlohmann::ordered_json::parse(*text, nullptr, false);
  if (!info.is_object()) return malformed(path + ": expected a JSON object");
  const auto separate = read_file(options.model + "/chat_template.jinja");
  if (separate) info["chat_template"] = *separate;
  if (!options.chat.chat_template.empty()) {
    const auto given = read_file(options.chat.chat_template);
    info["chat_template"] = given ? *given : options.chat.chat_template;
  }
  return info.dump();
}

std::string server_info(const ServeOptions& options, const scheduler::Config& config) {
  nlohmann::ordered_json settings = {{"model", model_name(options)},
                                     {"served_model_names", options.served_model_names},
                                     {"device", options.device},
                                     {"dtype", options.dtype},
                                     {"seed", options.seed}};
  for (const scheduler::ConfigField& field : scheduler::config_fields()) {
    std::visit([&](const auto& value) { settings[std::string(field.name)] = value; },
               scheduler::get(config, field));
  }
  nlohmann::ordered_json environment = nlohmann::ordered_json::object();
  for (const auto& [name, value] : options.environment) {
    const bool secret = name.find("KEY") != std::string::npos;
    if (name.starts_with("VLLM_") && !secret) environment[name] = value;
  }
  return nlohmann::ordered_json{{"vllm_config", settings},
                                {"vllm_env", environment},
                                {"system_env", {{"engine", "touchstone"}, {"version", kVersion}}}}
      .dump();
}

Result<ModelFrontEnd> load_front_end(const ServeOptions& options, const Log& log) {
  ModelFrontEnd front;
  auto tokenizer =
      tokenizer::Tokenizer::load(options.tokenizer.empty() ? options.model : options.tokenizer);
  if (!tokenizer) return std::move(tokenizer).error();
  front.tokenizer = std::move(*tokenizer);
  auto chat_template = load_chat_template(options, log);
  if (!chat_template) return std::move(chat_template).error();
  front.chat_template = std::move(*chat_template);
  api::ApiContext& context = front.context;
  context.served_model_names = options.served_model_names;
  if (context.served_model_names.empty()) context.served_model_names = {model_name(options)};
  context.model_root = model_name(options);
  context.tokenizer = front.tokenizer.get();
  context.chat_template = front.chat_template.get();
  RETURN_IF_ERROR(load_generation_defaults(options, context));
  RETURN_IF_ERROR(set_chat_options(options.chat, context));
  context.max_logprobs = options.max_logprobs;
  context.max_choices = options.max_choices;
  context.max_prompts = options.max_completion_prompts;
  context.max_stop_strings = options.max_stop_strings;
  context.enable_prompt_tokens_details = options.enable_prompt_tokens_details;
  context.enable_force_include_usage = options.enable_force_include_usage;
  context.return_tokens_as_token_ids = options.return_tokens_as_token_ids;
  context.stream_interval = options.stream_interval;
  if (options.enable_tokenizer_info_endpoint) {
    auto info = tokenizer_info(options);
    if (!info) return std::move(info).error();
    front.tokenizer_info = *std::move(info);
  }
  return front;
}

}  // namespace touchstone::server
