#include "http/http.h"

#include <algorithm>

#include "base/text.h"

namespace touchstone::http {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// Of a query: "%41+b" is "A b". What is no escape stays.
std::string decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low >= 0) {
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace

std::optional<std::string> HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key.size() == name.size() && starts_with_ignoring_case(key, name)) return value;
  }
  return std::nullopt;
}

std::optional<std::string> HttpRequest::query(std::string_view name) const {
  const size_t mark = target.find('?');
  if (mark == std::string::npos) return std::nullopt;
  const std::string text = target.substr(mark + 1, target.find('#') - mark - 1);
  std::optional<std::string> value;
  for (const std::string& pair : split(text, '&')) {
    const size_t equals = std::min(pair.find('='), pair.size());
    if (decoded(std::string_view(pair).substr(0, equals)) != name) continue;
    value = decoded(std::string_view(pair).substr(std::min(equals + 1, pair.size())));
  }
  return value;
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
