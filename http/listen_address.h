// HOST:PORT as flags name where to listen. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace touchstone::http {

struct ListenAddress {
  std::string host = "127.0.0.1";  ///< without brackets
  uint16_t port = 0;               ///< 0: any free one

  std::string text() const;  ///< "host:port", "[::1]:4317"
};

/// HOST:PORT, [IPV6]:PORT, :PORT or PORT; without a host 127.0.0.1. ERRORS: kInvalidArgument that
/// begins with `flag`.
Result<ListenAddress> parse_listen_address(const std::string& flag, const std::string& text);

}  // namespace touchstone::http
