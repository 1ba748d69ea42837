#include "http/url.h"

#include "base/text.h"

namespace touchstone::http {

std::string Url::authority() const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + host + "]" : host) + ":" + port;
}

Result<Url> parse_url(const std::string& text) {
  const auto wrong = [&] {
    return invalid_argument("URL: got " + quote(text) + ", expected http[s]://HOST:PORT[/PATH]");
  };
  Url url;
  const size_t separator = text.find("://");
  if (separator == std::string::npos) return wrong();
  url.scheme = text.substr(0, separator);
  if (url.scheme != "http" && url.scheme != "https") return wrong();
  const std::string rest = text.substr(separator + 3);
  const size_t slash = rest.find('/');
  const std::string authority = rest.substr(0, slash);
  url.path = slash == std::string::npos ? "" : rest.substr(slash);
  while (!url.path.empty() && url.path.back() == '/') url.path.pop_back();
  const size_t colon = authority.rfind(':');
  const bool has_port =
      colon != std::string::npos && authority.find(']', colon) == std::string::npos;
  url.port = has_port ? authority.substr(colon + 1) : url.is_secure() ? "443" : "80";
  url.host = has_port ? authority.substr(0, colon) : authority;
  if (url.host.size() > 2 && url.host.front() == '[' && url.host.back() == ']') {
    url.host = url.host.substr(1, url.host.size() - 2);
  }
  const auto port = parse_int(url.port);
  if (url.host.empty() || !port || *port < 1 || *port > 65535) return wrong();
  return url;
}

}  // namespace touchstone::http
