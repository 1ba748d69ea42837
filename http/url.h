// A URL of a server, taken apart. Thread-compatible.
#pragma once

#include <string>

#include "base/result.h"

namespace touchstone::http {

/// SCHEME://host:port/path
struct Url {
  std::string scheme = "http";  ///< "http" or "https"
  std::string host;
  std::string port;  ///< the scheme's own when the URL names none
  std::string path;  ///< without a trailing slash; empty for none

  bool is_secure() const { return scheme == "https"; }
  /// "host:port"
  std::string authority() const;
  std::string text() const { return scheme + "://" + authority() + path; }
};

/// ERRORS: kInvalidArgument for another scheme, a missing host or a bad port.
Result<Url> parse_url(const std::string& text);

}  // namespace touchstone::http
