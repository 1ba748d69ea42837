#include "reference_engine/server/api/adapter_requests.h"

#include <nlohmann/json.hpp>

#include "reference_engine/server/api/schema.h"

namespace touchstone::server::api {
namespace {

using nlohmann::json;

std::string required_string(Body& body, const json& tree, const char* key) {
  if (!body.has(key)) {
    body.errors().add("missing", body.location(key), "Field required", tree);
    return {};
  }
  return body.string(key, Null::kRefused).value_or("");
}

}  // namespace

std::variant<LoadAdapterRequest, ApiError> parse_load_adapter(std::string_view text,
                                                              const RequestHeaders& headers) {
  json tree;
  if (auto error = parse_body(text, headers.content_type, tree)) return *error;
  SchemaErrors errors;
  Body body(tree, errors);
  LoadAdapterRequest request;
  request.name = required_string(body, tree, "lora_name");
  request.path = required_string(body, tree, "lora_path");
  request.load_inplace = body.boolean("load_inplace", Null::kRefused).value_or(false);
  (void)body.boolean("is_3d_lora_weight", Null::kRefused);  // of experts, which no model here has
  if (!errors.empty()) return errors.to_api_error();
  return request;
}

std::variant<std::string, ApiError> parse_unload_adapter(std::string_view text,
                                                         const RequestHeaders& headers) {
  json tree;
  if (auto error = parse_body(text, headers.content_type, tree)) return *error;
  SchemaErrors errors;
  Body body(tree, errors);
  std::string name = required_string(body, tree, "lora_name");
  (void)body.integer("lora_int_id");  // vLLM goes by the name as well
  if (!errors.empty()) return errors.to_api_error();
  return name;
}

}  // namespace touchstone::server::api
