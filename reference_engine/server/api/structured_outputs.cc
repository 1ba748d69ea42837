#include "reference_engine/server/api/structured_outputs.h"

#include <nlohmann/json.hpp>
#include <string>

#include "reference_engine/server/api/python_text.h"
#include "reference_engine/server/api/sampling_fields.h"

namespace touchstone::server::api {
namespace {

using grammar::GrammarSpec;
using nlohmann::json;
using nlohmann::ordered_json;
using Kind = GrammarSpec::Kind;

constexpr const char* kKinds[] = {"json",    "regex",       "choice",
                                  "grammar", "json_object", "structural_tag"};

/// A schema is an object, or its text.
std::string schema_text(const ordered_json& schema) {
  return schema.is_string() ? schema.get<std::string>() : schema.dump();
}

std::optional<GrammarSpec> of_structured_outputs(Body& fields, const ordered_json& ordered) {
  GrammarSpec spec;
  spec.any_whitespace = !fields.boolean("disable_any_whitespace").value_or(false);
  const auto regex = fields.string("regex");
  const auto choices =
      fields.raw("choice").is_null() ? std::vector<std::string>() : fields.strings("choice");
  const auto ebnf = fields.string("grammar");
  const auto object = fields.boolean("json_object");
  const auto tag = fields.string("structural_tag");
  if (!fields.raw("json").is_null()) {
    spec.kind = Kind::kJsonSchema;
    spec.text = schema_text(ordered["json"]);
  } else if (regex) {
    spec.kind = Kind::kRegex;
    spec.text = *regex;
  } else if (!choices.empty()) {
    spec.kind = Kind::kChoice;
    spec.choices = choices;
  } else if (ebnf) {
    spec.kind = Kind::kEbnf;
    spec.text = *ebnf;
  } else if (tag) {
    spec.kind = Kind::kStructuralTag;
    spec.text = *tag;
  } else if (!object.value_or(false)) {
    return std::nullopt;
  }
  return spec;
}

std::optional<GrammarSpec> of_response_format(Body& format, const ordered_json& ordered) {
  const auto type = format.word("type", {"text", "json_object", "json_schema", "structural_tag"});
  if (!type || *type == "text") return std::nullopt;
  GrammarSpec spec;
  if (*type == "json_schema") {
    auto named = format.object("json_schema");
    if (!named) return std::nullopt;
    if (!named->has("name")) {
      format.errors().add("missing", named->location("name"), "Field required", named->tree());
    }
    (void)named->string("name", Null::kRefused);
    (void)named->boolean("strict");
    const auto schema = named->object("schema");
    spec.kind = schema ? Kind::kJsonSchema : Kind::kJsonObject;
    if (schema) spec.text = ordered["json_schema"]["schema"].dump();
  } else if (*type == "structural_tag") {
    spec.kind = Kind::kStructuralTag;
    spec.text = ordered.dump();
  }
  return spec;
}

}  // namespace

std::optional<ApiError> check_structured_fields(const Body& body) {
  const json& format = body.raw("response_format");
  if (format.is_object() && format.value("type", json()) == "json_schema" &&
      format.value("json_schema", json()).is_null()) {
    return parameter_error(
        "When response_format type is 'json_schema', the 'json_schema' field must be provided.",
        "response_format");
  }
  const json& outputs = body.raw("structured_outputs");
  if (!outputs.is_object()) return std::nullopt;
  const auto given = [&](const char* kind) { return !outputs.value(kind, json()).is_null(); };
  if (given("json") + given("regex") + given("choice") > 1) {
    return bad_request(
        "You can only use one kind of constraints for structured outputs ('json', 'regex' or "
        "'choice').");
  }
  const json& choice = body.raw("tool_choice");
  const bool any = given("json") || given("regex") || given("choice");
  if (any && !choice.is_null() && choice != "none" && choice != "auto" && choice != "required") {
    return bad_request(
        "You can only either use constraints for structured outputs or tools, not both.");
  }
  int kinds = 0;
  for (const char* kind : kKinds) kinds += given(kind) ? 1 : 0;
  if (kinds != 1) {
    return bad_request(std::string("You ") + (kinds > 1 ? "can only" : "must") +
                       " use one kind of structured outputs constraint but " +
                       (kinds > 1 ? "multiple are" : "none are") +
                       " specified: " + python_repr(outputs));
  }
  return std::nullopt;
}

std::optional<GrammarSpec> read_structured_fields(Body& body, const ordered_json& ordered) {
  std::optional<GrammarSpec> spec;
  if (auto outputs = body.object("structured_outputs")) {
    spec = of_structured_outputs(*outputs, ordered["structured_outputs"]);
  }
  // The format goes before, as in vLLM.
  if (auto format = body.object("response_format")) {
    if (auto of_format = of_response_format(*format, ordered["response_format"])) {
      of_format->any_whitespace = !spec || spec->any_whitespace;
      spec = of_format;
    }
  }
  return spec;
}

}  // namespace touchstone::server::api
