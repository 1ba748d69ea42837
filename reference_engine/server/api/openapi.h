// GET /openapi.json: the routes and the fields of their bodies as an OpenAPI 3.1 document, made from
// the tables that serve them. Pure. Source: OpenAPI Specification 3.1.0.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace touchstone::server::api {

struct OpenApiRoute {
  std::string_view method;  ///< "GET"
  std::string_view path;    ///< "/v1/responses/{response_id}"
};

/// JSON. Fields that are refused say why, and take their harmless value only.
std::string openapi_document(std::span<const OpenApiRoute> routes, const std::string& version);

}  // namespace touchstone::server::api
