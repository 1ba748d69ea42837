// One GET with a deadline: health checks, scrapes, version questions. Plain HTTP only.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace touchstone::http {

/// http://host:port/path, taken apart.
struct Url {
  std::string host;
  std::string port;
  std::string path;  ///< without a trailing slash; empty for none
  std::string authority() const { return host + ":" + port; }
};

/// ERRORS: kInvalidArgument for another scheme, a missing host or a bad port.
Result<Url> parse_url(const std::string& text);

/// What a server answered.
struct ClientResponse {
  int64_t status = 0;
  std::string body;
};

/// ERRORS: kInvalidArgument for a bad URL, kTimeout, kIo `GET URL: what happened`.
Result<ClientResponse> http_get(const std::string& url, int64_t timeout_ns);
/// As http_get(), and any status but 200 is an error too.
Result<std::string> http_get_body(const std::string& url, int64_t timeout_ns);

}  // namespace touchstone::http
