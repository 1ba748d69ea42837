#include "reference_engine/server/cors.h"

#include <algorithm>

#include "base/text.h"

namespace touchstone::server {
namespace {

bool holds(const std::vector<std::string>& allowed, const std::string& wanted) {
  return std::ranges::any_of(allowed, [&](const std::string& one) {
    return one == "*" || to_lower(one) == to_lower(wanted);
  });
}

/// Those that every browser may send.
bool is_safe_header(const std::string& name) {
  static const std::vector<std::string> kSafe = {"accept", "accept-language", "content-language",
                                                 "content-type"};
  return holds(kSafe, name);
}

bool any(const std::vector<std::string>& allowed) { return holds(allowed, "*"); }

/// Nothing when `origin` may not.
std::string allowed_origin(const std::string& origin, const CorsOptions& options) {
  if (!holds(options.origins, origin)) return {};
  // A browser that sends credentials wants to see its own name.
  return any(options.origins) && !options.credentials ? "*" : origin;
}

void add_origin(const std::string& origin, const CorsOptions& options, http::HttpHeaders& headers) {
  if (const std::string allowed = allowed_origin(origin, options); !allowed.empty()) {
    headers.emplace_back("access-control-allow-origin", allowed);
  }
  if (options.credentials) headers.emplace_back("access-control-allow-credentials", "true");
}

}  // namespace

bool is_preflight(const http::HttpRequest& request) {
  return request.method == "OPTIONS" && request.header("origin") &&
         request.header("access-control-request-method");
}

http::HttpResponse preflight(const http::HttpRequest& request, const CorsOptions& options) {
  const std::string origin = request.header("origin").value_or("");
  const std::string method = request.header("access-control-request-method").value_or("");
  const auto wanted = request.header("access-control-request-headers");
  http::HttpResponse response{
      .status = 200, .content_type = "text/plain; charset=utf-8", .headers = {}, .body = "OK"};
  add_origin(origin, options, response.headers);
  response.headers.emplace_back("vary", "Origin");
  response.headers.emplace_back("access-control-allow-methods",
                                any(options.methods)
                                    ? "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
                                    : join(options.methods, ", "));
  response.headers.emplace_back("access-control-max-age", "600");
  if (any(options.headers)) {
    if (wanted) response.headers.emplace_back("access-control-allow-headers", *wanted);
  } else {
    response.headers.emplace_back("access-control-allow-headers", join(options.headers, ", "));
  }
  std::vector<std::string> refused;
  if (!holds(options.origins, origin)) refused.emplace_back("origin");
  if (!holds(options.methods, method)) refused.emplace_back("method");
  for (const std::string& header : split(wanted.value_or(""), ',')) {
    const std::string name(trim(header));
    if (name.empty() || is_safe_header(name) || holds(options.headers, name)) continue;
    refused.emplace_back("headers");
    break;
  }
  if (!refused.empty()) {
    response.status = 400;
    response.body = "Disallowed CORS " + join(refused, ", ");
  }
  return response;
}

http::HttpHeaders cors_headers(const http::HttpRequest& request, const CorsOptions& options) {
  http::HttpHeaders headers;
  if (const auto origin = request.header("origin")) add_origin(*origin, options, headers);
  headers.emplace_back("vary", "Origin");
  return headers;
}

}  // namespace touchstone::server
