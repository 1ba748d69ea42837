#include "reference_engine/server/api/tools.h"

#include "reference_engine/server/api/python_text.h"
#include "reference_engine/server/api/sampling_fields.h"

namespace touchstone::server::api {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using Calls = AnswerFormat::Calls;

constexpr const char* kUsage =
    "Correct usage: `{\"type\": \"function\", \"function\": {\"name\": \"my_function\"}}`";

/// The name of a tool; null when it has none.
const json& name_of(const json& tool) {
  static const json null;
  const auto function = tool.is_object() ? tool.find("function") : tool.end();
  if (!tool.is_object() || function == tool.end() || !function->is_object()) return null;
  const auto name = function->find("name");
  return name == function->end() ? null : *name;
}

std::string shown(const json& value) {
  return value.is_string() ? value.get<std::string>() : python_repr(value);
}

/// tool_choice is an object: it must name one of the tools.
std::optional<ApiError> check_named_choice(const json& choice, const json& tools) {
  const json function = choice.value("function", json());
  if (!function.is_object()) {
    return parameter_error(
        "Invalid value for `function`: `" + shown(function) + "` in `tool_choice`! " + kUsage,
        "tool_choice.function");
  }
  if (!function.contains("name")) {
    return parameter_error(
        std::string("Expected field `name` in `function` in `tool_choice`! ") + kUsage,
        "tool_choice.function.name");
  }
  const json& name = function["name"];
  if (!name.is_string() || name == "") {
    return parameter_error(
        "Invalid `name` in `function`: `" + shown(name) + "` in `tool_choice`! " + kUsage,
        "tool_choice.function.name");
  }
  for (const json& tool : tools) {
    if (name_of(tool) == name) return std::nullopt;
  }
  return parameter_error(
      "The tool specified in `tool_choice` does not match any of the specified `tools`",
      "tool_choice");
}

/// As pydantic dumps a tool, in the order of its model.
ordered_json normal_tool(const ordered_json& tool) {
  ordered_json function = ordered_json::object();
  const ordered_json& given = tool["function"];
  for (const char* key : {"name", "description", "parameters"}) {
    function[key] = given.contains(key) ? given[key] : ordered_json();
  }
  if (given.contains("strict") && !given["strict"].is_null()) function["strict"] = given["strict"];
  return {{"type", "function"}, {"function", function}};
}

void check_tool(const json& tool, const std::string& location, SchemaErrors& errors) {
  if (!tool.is_object()) {
    errors.add("model_attributes_type", location,
               "Input should be a valid dictionary or object to extract fields from", tool);
    return;
  }
  Body fields(tool, errors, location);
  (void)fields.word("type", {"function"});
  if (!tool.contains("function")) {
    errors.add("missing", location + ".function", "Field required", tool);
    return;
  }
  auto function = fields.object("function");
  if (!function) return;
  if (!function->has("name")) {
    errors.add("missing", function->location("name"), "Field required", tool["function"]);
  }
  (void)function->string("name", Null::kRefused);
  (void)function->string("description");
  (void)function->object("parameters");
  (void)function->boolean("strict");
}

/// A tool that takes nothing said is called with an empty object.
ordered_json parameters_of(const ordered_json& tool) {
  const ordered_json& parameters = tool["function"]["parameters"];
  if (!parameters.is_null()) return parameters;
  return {{"type", "object"}, {"properties", ordered_json::object()}};
}

/// The array of calls that "required" demands.
std::string required_schema(const ordered_json& tools, bool parallel) {
  ordered_json calls = ordered_json::array();
  ordered_json definitions = ordered_json::object();
  for (const ordered_json& tool : tools) {
    ordered_json parameters = parameters_of(tool);
    if (const auto own = parameters.find("$defs"); own != parameters.end()) {
      definitions.update(*own);
      parameters.erase("$defs");
    }
    calls.push_back({{"properties",
                      {{"name", {{"type", "string"}, {"enum", {tool["function"]["name"]}}}},
                       {"parameters", parameters}}},
                     {"required", {"name", "parameters"}}});
  }
  ordered_json schema = {
      {"type", "array"}, {"minItems", 1}, {"items", {{"type", "object"}, {"anyOf", calls}}}};
  if (!parallel) schema["maxItems"] = 1;
  if (!definitions.empty()) schema["$defs"] = definitions;
  return schema.dump();
}

void set_forced(const json& choice, bool parallel, ToolUse& use) {
  use.grammar.emplace();
  use.grammar->kind = grammar::GrammarSpec::Kind::kJsonSchema;
  if (choice == "required") {
    use.format.calls = Calls::kRequired;
    use.grammar->text = required_schema(use.tools, parallel);
    return;
  }
  use.format.calls = Calls::kNamed;
  use.format.named_tool = choice["function"]["name"].get<std::string>();
  for (const ordered_json& tool : use.tools) {
    if (tool["function"]["name"] != use.format.named_tool) continue;
    use.grammar->text = parameters_of(tool).dump();
  }
}

}  // namespace

std::optional<ApiError> check_tools_field(const Body& body) {
  const json& tools = body.raw("tools");
  if (tools.is_array() && tools.empty()) {
    return parameter_error(
        "`tools` must not be an empty array. Either provide at least one tool or "
        "omit the field entirely.",
        "tools");
  }
  const json& choice = body.raw("tool_choice");
  if (choice.is_null() || choice == "none") return std::nullopt;
  if (tools.is_null()) {
    return parameter_error("When using `tool_choice`, `tools` must be set.", "tool_choice");
  }
  if (choice != "auto" && choice != "required" && !choice.is_object()) {
    return parameter_error(
        "Invalid value for `tool_choice`: " + shown(choice) +
            "! Only named tools, \"none\", \"auto\" or \"required\" are supported.",
        "tool_choice");
  }
  return choice.is_object() && tools.is_array() ? check_named_choice(choice, tools) : std::nullopt;
}

ordered_json read_tool_definitions(Body& body, const ordered_json& ordered) {
  const json& tools = body.raw("tools");
  if (!tools.is_array()) {
    body.errors().add("list_type", body.location("tools"), "Input should be a valid list", tools);
    return nullptr;
  }
  for (size_t i = 0; i < tools.size(); ++i) {
    check_tool(tools[i], body.location("tools") + "." + std::to_string(i), body.errors());
  }
  if (!body.errors().empty()) return nullptr;
  ordered_json normal = ordered_json::array();
  for (const ordered_json& tool : ordered["tools"]) normal.push_back(normal_tool(tool));
  return normal;
}

std::variant<ToolUse, ApiError> read_tools(Body& body, const ordered_json& ordered,
                                           const ApiContext& context) {
  ToolUse use;
  const bool parallel = body.boolean("parallel_tool_calls").value_or(true);
  if (body.raw("tools").is_null()) return use;
  use.tools = read_tool_definitions(body, ordered);
  if (use.tools.is_null()) return use;
  use.format.parallel_calls = parallel;
  use.format.short_ids = context.tool_parser != nullptr && context.tool_parser->short_ids;
  const json& choice = body.raw("tool_choice");
  if (choice == "none") {
    if (context.exclude_tools_when_tool_choice_none) use.tools = nullptr;
    return use;
  }
  if (choice.is_object() || choice == "required") {
    set_forced(choice, parallel, use);
    return use;
  }
  if (!context.enable_auto_tool_choice || context.tool_parser == nullptr) {
    return bad_request(
        "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set");
  }
  use.format.calls = Calls::kAuto;
  use.format.tools = context.tool_parser;
  return use;
}

}  // namespace touchstone::server::api
