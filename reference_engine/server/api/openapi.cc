#include "reference_engine/server/api/openapi.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "base/text.h"
#include "reference_engine/server/api/known_fields.h"

namespace touchstone::server::api {
namespace {

using nlohmann::ordered_json;

struct BodyOf {
  std::string_view path;
  BodyKind kind;
};
constexpr BodyOf kBodies[] = {{"/v1/completions", BodyKind::kCompletion},
                              {"/v1/chat/completions", BodyKind::kChat},
                              {"/v1/responses", BodyKind::kResponses},
                              {"/tokenize", BodyKind::kTokenize},
                              {"/detokenize", BodyKind::kDetokenize}};

std::optional<BodyKind> body_of(std::string_view path) {
  for (const BodyOf& body : kBodies) {
    if (body.path == path) return body.kind;
  }
  return std::nullopt;
}

/// The fields of a body, without their types: what is wrong with one the server says itself.
ordered_json body_schema(BodyKind kind) {
  ordered_json properties = ordered_json::object();
  for (const KnownField& field : known_fields()) {
    if ((field.kinds & static_cast<unsigned>(kind)) == 0) continue;
    ordered_json& property = properties[field.name] = ordered_json::object();
    if (field.use == KnownField::Use::kHarmless) {
      property["description"] = std::string("accepted: ") + field.reason;
    } else if (field.use == KnownField::Use::kRefused) {
      property["description"] = std::string("refused: ") + field.reason;
      property["deprecated"] = true;
    }
  }
  return {{"type", "object"}, {"properties", std::move(properties)}};
}

/// "{response_id}" of a path.
ordered_json parameters_of(std::string_view path) {
  ordered_json parameters = ordered_json::array();
  const size_t open = path.find('{');
  if (open == std::string_view::npos) return parameters;
  const std::string_view name = path.substr(open + 1, path.find('}') - open - 1);
  parameters.push_back(
      {{"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}});
  return parameters;
}

ordered_json operation_of(const OpenApiRoute& route) {
  ordered_json operation = {{"responses", {{"200", {{"description", "Successful Response"}}}}}};
  if (auto parameters = parameters_of(route.path); !parameters.empty()) {
    operation["parameters"] = std::move(parameters);
  }
  if (const auto kind = body_of(route.path)) {
    operation["requestBody"] = {
        {"required", true}, {"content", {{"application/json", {{"schema", body_schema(*kind)}}}}}};
    operation["responses"]["400"] = {{"description", "Bad Request"}};
  }
  return operation;
}

}  // namespace

std::string openapi_document(std::span<const OpenApiRoute> routes, const std::string& version) {
  ordered_json paths = ordered_json::object();
  for (const OpenApiRoute& route : routes) {
    paths[std::string(route.path)][to_lower(route.method)] = operation_of(route);
  }
  return ordered_json{{"openapi", "3.1.0"},
                      {"info", {{"title", "touchstone"}, {"version", version}}},
                      {"paths", std::move(paths)}}
      .dump();
}

}  // namespace touchstone::server::api
