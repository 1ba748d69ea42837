#include "http/listen_address.h"

#include "base/text.h"

namespace touchstone::http {

std::string ListenAddress::text() const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<ListenAddress> parse_listen_address(const std::string& flag, const std::string& text) {
  const size_t colon = text.rfind(':');
  std::string host = colon == std::string::npos ? "" : text.substr(0, colon);
  const auto number = parse_int(colon == std::string::npos ? text : text.substr(colon + 1));
  if (!number || *number < 0 || *number > 65535) {
    return invalid_argument(flag + ": got " + quote(text) + ", expected HOST:PORT or PORT");
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  ListenAddress address;
  if (!host.empty()) address.host = std::move(host);
  address.port = static_cast<uint16_t>(*number);
  return address;
}

}  // namespace touchstone::http
