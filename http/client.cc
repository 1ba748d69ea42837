#include "http/client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>

#include "base/text.h"

namespace touchstone::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr uint64_t kBodyMax = 256ULL << 20;

/// One request on its own event loop; each step starts the next, any failure ends it.
class Get final {
 public:
  Get(const Url& url, const std::string& target) : resolver_(loop_), stream_(loop_) {
    request_.method(http::verb::get);
    request_.target(target.empty() ? "/" : target);
    request_.version(11);
    request_.set(http::field::host, url.authority());
    request_.set(http::field::user_agent, "touchstone");
    request_.set(http::field::connection, "close");
    parser_.body_limit(kBodyMax);
    resolver_.async_resolve(url.host, url.port, [this](beast::error_code error, auto found) {
      if (!keep(error)) return;
      stream_.async_connect(found, [this](beast::error_code failed, const auto&) {
        if (keep(failed)) write();
      });
    });
  }

  Result<ClientResponse> run(int64_t timeout_ns) {
    loop_.run_for(std::chrono::nanoseconds(timeout_ns));
    if (!loop_.stopped()) {
      return Error{ErrorCode::kTimeout, "no answer within " + format_duration(timeout_ns), {}};
    }
    if (error_) return io_error(error_.message());
    return ClientResponse{parser_.get().result_int(), std::move(parser_.get().body())};
  }

 private:
  bool keep(beast::error_code error) {
    error_ = error;
    return !error;
  }
  void write() {
    http::async_write(stream_, request_, [this](beast::error_code error, size_t) {
      if (!keep(error)) return;
      http::async_read(stream_, buffer_, parser_,
                       [this](beast::error_code failed, size_t) { keep(failed); });
    });
  }

  asio::io_context loop_{1};
  asio::ip::tcp::resolver resolver_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  http::request<http::empty_body> request_;
  http::response_parser<http::string_body> parser_;
  beast::error_code error_;
};

}  // namespace

Result<Url> parse_url(const std::string& text) {
  constexpr std::string_view kScheme = "http://";
  if (text.compare(0, kScheme.size(), kScheme) != 0) {
    return invalid_argument("URL: got " + quote(text) + ", expected http://HOST:PORT[/PATH]",
                            text.compare(0, 8, "https://") == 0
                                ? "https is not supported; use the server's plain port"
                                : "");
  }
  const std::string rest = text.substr(kScheme.size());
  const size_t slash = rest.find('/');
  std::string authority = rest.substr(0, slash);
  Url url;
  url.path = slash == std::string::npos ? "" : rest.substr(slash);
  while (!url.path.empty() && url.path.back() == '/') url.path.pop_back();
  const size_t colon = authority.rfind(':');
  const bool has_port =
      colon != std::string::npos && authority.find(']', colon) == std::string::npos;
  url.port = has_port ? authority.substr(colon + 1) : "80";
  url.host = has_port ? authority.substr(0, colon) : authority;
  if (url.host.size() > 2 && url.host.front() == '[' && url.host.back() == ']') {
    url.host = url.host.substr(1, url.host.size() - 2);
  }
  const auto port = parse_int(url.port);
  if (url.host.empty() || !port || *port < 1 || *port > 65535) {
    return invalid_argument("URL: got " + quote(text) + ", expected http://HOST:PORT[/PATH]");
  }
  return url;
}

Result<ClientResponse> http_get(const std::string& url, int64_t timeout_ns) {
  const auto parsed = parse_url(url);
  if (!parsed) return parsed.error();
  Get get(*parsed, parsed->path);
  auto response = get.run(timeout_ns);
  if (!response) return std::move(response).error().with_context("GET " + url);
  return response;
}

Result<std::string> http_get_body(const std::string& url, int64_t timeout_ns) {
  auto response = http_get(url, timeout_ns);
  if (!response) return std::move(response).error();
  if (response->status != 200) {
    return unavailable("GET " + url + ": got status " + std::to_string(response->status) +
                       ", expected 200");
  }
  return std::move(response->body);
}

}  // namespace touchstone::http
