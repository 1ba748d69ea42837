#include "reference_engine/server/api/messages.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "reference_engine/server/api/python_text.h"
#include "reference_engine/server/api/sampling_fields.h"

namespace touchstone::server::api {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// The alternatives of a message, in the order in which pydantic tries and reports them.
struct Variant {
  const char* name;
  const char* role;           // nullptr: any string
  bool content_required;      // and not null
  const char* also_required;  // nullptr: nothing
};
constexpr std::array<Variant, 6> kVariants = {{
    {"ChatCompletionDeveloperMessageParam", "developer", true, nullptr},
    {"ChatCompletionSystemMessageParam", "system", true, nullptr},
    {"ChatCompletionUserMessageParam", "user", true, nullptr},
    {"ChatCompletionAssistantMessageParam", "assistant", false, nullptr},
    {"ChatCompletionToolMessageParam", "tool", true, "tool_call_id"},
    {"ChatCompletionFunctionMessageParam", "function", false, "name"},
}};
constexpr const char* kCustom = "CustomChatCompletionMessageParam";
constexpr const char* kHarmony = "Message";

const json& member(const json& object, const char* key) {
  static const json null;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found == object.end() ? null : *found;
}

bool is_content(const json& content) {
  if (content.is_string()) return true;
  return content.is_array() && std::all_of(content.begin(), content.end(), [](const json& part) {
           return part.is_string() || part.is_object();
         });
}

// Whether any alternative takes the message: the custom one takes every role.
bool is_message(const json& message) {
  if (!message.is_object() || !member(message, "role").is_string()) return false;
  const json& role = member(message, "role");
  const json& content = member(message, "content");
  if (!message.contains("content") || is_content(content)) return true;
  return content.is_null() &&
         (role == "assistant" || (role == "function" && member(message, "name").is_string()));
}

void missing(const json& message, const std::string& location, SchemaErrors& errors) {
  errors.add("missing", location, "Field required", message);
}

void explain_content(const json& message, const Variant& variant, const std::string& location,
                     SchemaErrors& errors) {
  const json& content = member(message, "content");
  const std::string at = location + ".content";
  if (!message.contains("content")) {
    if (variant.content_required) missing(message, at, errors);
    return;
  }
  if (is_content(content) || (content.is_null() && !variant.content_required)) return;
  errors.add("string_type", at, "Input should be a valid string", content);
  errors.add("iterable_type", at, "Input should be iterable", content);
}

void explain_variant(const json& message, const Variant& variant, const std::string& location,
                     SchemaErrors& errors) {
  explain_content(message, variant, location, errors);
  const json& role = member(message, "role");
  if (!message.contains("role")) {
    missing(message, location + ".role", errors);
  } else if (role != variant.role) {
    const std::string expected = "'" + std::string(variant.role) + "'";
    errors.add("literal_error", location + ".role", "Input should be " + expected, role,
               "{'expected': " + python_repr(std::string_view(expected)) + "}");
  }
  if (variant.also_required != nullptr && !message.contains(variant.also_required)) {
    missing(message, location + "." + variant.also_required, errors);
  }
}

void explain_custom(const json& message, const std::string& location, SchemaErrors& errors) {
  const json& role = member(message, "role");
  if (!message.contains("role")) {
    missing(message, location + ".role", errors);
  } else if (!role.is_string()) {
    errors.add("string_type", location + ".role", "Input should be a valid string", role);
  }
  const json& content = member(message, "content");
  if (message.contains("content") && !is_content(content)) {
    errors.add("string_type", location + ".content", "Input should be a valid string", content);
    errors.add("list_type", location + ".content", "Input should be a valid list", content);
  }
}

void explain_message(const json& message, const std::string& location, SchemaErrors& errors) {
  if (!message.is_object()) {
    const std::string problem = "Input should be a valid dictionary";
    for (const Variant& variant : kVariants) {
      errors.add("dict_type", location + "." + variant.name, problem, message);
    }
    errors.add("dict_type", location + "." + kCustom, problem, message);
    errors.add("model_attributes_type", location + "." + kHarmony,
               problem + " or object to extract fields from", message);
    return;
  }
  for (const Variant& variant : kVariants) {
    explain_variant(message, variant, location + "." + variant.name, errors);
  }
  explain_custom(message, location + "." + kCustom, errors);
  missing(message, location + "." + kHarmony + ".author", errors);
  if (!message.contains("content") || !is_content(member(message, "content"))) {
    errors.add("list_type", location + "." + kHarmony + ".content", "Input should be a valid list",
               member(message, "content"));
  }
}

// The text of one part of a content list; nullopt for anything that is not text.
std::optional<std::string> part_text(const json& part) {
  if (part.is_string()) return part.get<std::string>();
  const json& type = member(part, "type");
  const json& text = member(part, "text");
  if ((type == "text" || type == "input_text" || type == "output_text" || type == "refusal" ||
       type == "thinking" || type.is_null())) {
    const json& value = type == "refusal" || type == "thinking"
                            ? member(part, type.get_ref<const std::string&>().c_str())
                            : text;
    if (value.is_string()) return value.get<std::string>();
  }
  return std::nullopt;
}

/// Templates want the arguments of earlier calls as objects; the API has them as text.
std::optional<ApiError> normalize_tool_calls(ordered_json& message) {
  const auto calls = message.find("tool_calls");
  if (calls == message.end() || message.value("role", "") != "assistant" || !calls->is_array()) {
    return std::nullopt;
  }
  if (calls->empty()) {
    message.erase("tool_calls");
    return std::nullopt;
  }
  for (ordered_json& call : *calls) {
    if (!call.is_object()) {
      return parameter_error("assistant tool_calls entries must be objects.", "tool_calls");
    }
    const auto function = call.find("function");
    if (call.value("type", "function") != "function" || function == call.end() ||
        !function->is_object()) {
      return parameter_error(
          "chat completions only support assistant tool_calls of type 'function'.", "tool_calls");
    }
    ordered_json& arguments = (*function)["arguments"];
    if (arguments.is_string()) {
      ordered_json parsed =
          ordered_json::parse(arguments.get_ref<const std::string&>(), nullptr, false);
      arguments = parsed.is_object() ? std::move(parsed) : ordered_json::object();
    } else if (!arguments.is_object()) {
      arguments = ordered_json::object();
    }
  }
  return std::nullopt;
}

}  // namespace

void check_messages(const Body& body) {
  const std::string location = body.location("messages");
  const json& messages = body.raw("messages");
  if (!body.has("messages")) return;
  if (!messages.is_array()) {
    body.errors().add("list_type", location, "Input should be a valid list", messages);
    return;
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    if (!is_message(messages[i])) {
      explain_message(messages[i], location + "." + std::to_string(i), body.errors());
    }
  }
}

std::string content_text(const json& content) {
  if (content.is_string()) return content.get<std::string>();
  std::string text;
  if (!content.is_array()) return text;
  for (size_t i = 0; i < content.size(); ++i) {
    if (i > 0) text += '\n';
    text += part_text(content[i]).value_or("");
  }
  return text;
}

std::optional<ApiError> normalize_messages(const json& messages, bool as_parts,
                                           const ApiContext& context, ordered_json& out) {
  out = ordered_json::array();
  for (const json& message : messages) {
    ordered_json normal = message;
    if (auto error = normalize_tool_calls(normal)) return error;
    const json& content = member(message, "content");
    if (content.is_array()) {
      ordered_json parts = ordered_json::array();
      for (const json& part : content) {
        const auto text = part_text(part);
        if (!text) {
          return bad_request(context.served_model_names.front() + " is not a multimodal model");
        }
        parts.push_back({{"type", "text"}, {"text", *text}});
      }
      if (as_parts) {
        normal["content"] = parts;
      } else {
        normal["content"] = content_text(content);
      }
    } else if (content.is_null()) {
      normal["content"] = "";
    }
    out.push_back(std::move(normal));
  }
  return std::nullopt;
}

}  // namespace touchstone::server::api
