#include "http/http.h"

#include "base/text.h"

namespace touchstone::http {

std::optional<std::string> HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key.size() == name.size() && starts_with_ignoring_case(key, name)) return value;
  }
  return std::nullopt;
}

HttpResponse plain_error(int status, const std::string& /*type*/, const std::string& message) {
  return {.status = status, .content_type = "text/plain", .headers = {}, .body = message + "\n"};
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Entity";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    default:
      return {};
  }
}

}  // namespace touchstone::http
