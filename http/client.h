// One request with a deadline, plain or over TLS: health checks, scrapes, version questions,
// queries of backends. Thread-compatible.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "http/access.h"
#include "http/url.h"

namespace touchstone::http {

struct ClientRequest {
  std::string method = "GET";
  std::string url;           ///< with its query
  std::string content_type;  ///< of the body; empty: no such header
  std::string body;
};

/// What a server answered.
struct ClientResponse {
  int64_t status = 0;
  std::string body;
};

/// ERRORS: kInvalidArgument for a bad URL or CA file, kTimeout, kIo `GET URL: what happened`.
Result<ClientResponse> http_send(const ClientRequest& request, int64_t timeout_ns,
                                 const Access& access = {});
/// A GET of it.
Result<ClientResponse> http_get(const std::string& url, int64_t timeout_ns,
                                const Access& access = {});
/// As http_get(), and any status but 200 is an error too.
Result<std::string> http_get_body(const std::string& url, int64_t timeout_ns,
                                  const Access& access = {});

}  // namespace touchstone::http
