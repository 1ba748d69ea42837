// What a refused HTTP request gets: vLLM's error envelope, and the {"detail": …} bodies of its
// router. Source: vLLM 0.32.0, recorded exchanges (fixtures/captures/vllm-0.32.0). Values; pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace touchstone::server::api {

struct ApiError {
  int status = 400;
  /// "BadRequestError" for a value out of range, "Bad Request" for a body that does not fit the
  /// schema, "NotFoundError", "InternalServerError", ….
  std::string type = "BadRequestError";
  std::string message;
  std::optional<std::string> param;

  bool operator==(const ApiError&) const = default;
};

/// {"error":{"message":…,"type":…,"param":…,"code":status}}
std::string error_body(const ApiError& error);
/// The same as one server-sent event, for an error after the stream began. The stream still ends
/// with kStreamEnd.
std::string error_event(const ApiError& error);
inline constexpr std::string_view kStreamEnd = "data: [DONE]\n\n";

/// {"detail":"Not Found"} of status 404, {"detail":"Method Not Allowed"} of 405.
std::string detail_body(int status);
/// {"error":"Unauthorized"} of status 401 (a missing or wrong API key).
std::string unauthorized_body();

/// 503: queue limits exceeded, or the server is draining.
ApiError overloaded(std::string message);
/// 500: the engine failed.
ApiError internal_error(std::string message);

}  // namespace touchstone::server::api
