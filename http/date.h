// The Date header's format. Source: RFC 9110, 5.6.7 (IMF-fixdate). Pure.
#pragma once

#include <cstdint>
#include <string>

namespace touchstone::http {

/// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string http_date(int64_t unix_ns);

}  // namespace touchstone::http
