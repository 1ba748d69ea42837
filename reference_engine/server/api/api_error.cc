#include "reference_engine/server/api/api_error.h"

#include <utility>

#include "base/check.h"
#include "base/json_text.h"

namespace touchstone::server::api {

namespace {

// What a client sent may be part of a message; more than this helps nobody.
constexpr size_t kMessageBytesMax = 65'536;

}  // namespace

std::string error_body(const ApiError& error) {
  std::string out = "{\"error\":{\"message\":";
  append_json_string(out, std::string_view(error.message).substr(0, kMessageBytesMax));
  out += ",\"type\":";
  append_json_string(out, error.type);
  out += ",\"param\":";
  append_json_optional(out, error.param);
  out += ",\"code\":" + std::to_string(error.status) + "}}";
  return out;
}

std::string error_event(const ApiError& error) { return "data: " + error_body(error) + "\n\n"; }

std::string detail_body(int status) {
  BASE_CHECK(status == 404 || status == 405, "no detail for status ", status);
  return status == 404 ? R"({"detail":"Not Found"})" : R"({"detail":"Method Not Allowed"})";
}

std::string unauthorized_body() { return R"({"error":"Unauthorized"})"; }

ApiError overloaded(std::string message) {
  return {503, "ServiceUnavailableError", std::move(message), std::nullopt};
}

ApiError internal_error(std::string message) {
  return {500, "InternalServerError", std::move(message), std::nullopt};
}

}  // namespace touchstone::server::api
