// Cross-origin requests of browsers: what a preflight is told and which headers an answer carries.
// Off unless origins are allowed, as in vLLM 0.32. Pure; thread-safe.
// Source: starlette 0.49 middleware/cors.py, which vLLM uses.
#pragma once

#include <string>
#include <vector>

#include "http/http.h"

namespace touchstone::server {

struct CorsOptions {
  std::vector<std::string> origins;  ///< "*": any; empty: none
  std::vector<std::string> methods = {"*"};
  std::vector<std::string> headers = {"*"};
  bool credentials = false;
};

bool is_preflight(const http::HttpRequest& request);
/// 200, or 400 that names what is not allowed. REQUIRES: is_preflight(request).
http::HttpResponse preflight(const http::HttpRequest& request, const CorsOptions& options);
/// For every other answer.
http::HttpHeaders cors_headers(const http::HttpRequest& request, const CorsOptions& options);

}  // namespace touchstone::server
