#include "http/client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <memory>
#include <utility>

#include "base/text.h"
#include "http/tls.h"
#include "http/url.h"

namespace touchstone::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr uint64_t kBodyMax = 256ULL << 20;

/// One request on its own event loop; each step starts the next, any failure ends it.
class RequestUnderWay final {
 public:
  /// `tls` is null for plain HTTP.
  RequestUnderWay(const ClientRequest& request, const Url& url, const Access& access,
                  std::shared_ptr<asio::ssl::context> tls)
      : tls_(std::move(tls)), resolver_(loop_), stream_(loop_) {
    request_.method_string(request.method);
    request_.target(url.path.empty() ? "/" : url.path);
    request_.version(11);
    request_.set(http::field::host, url.authority());
    request_.set(http::field::user_agent, "touchstone");
    request_.set(http::field::connection, "close");
    for (const auto& [name, value] : access.headers) request_.set(name, value);
    if (!request.content_type.empty()) {
      request_.set(http::field::content_type, request.content_type);
    }
    request_.body() = request.body;
    request_.prepare_payload();
    parser_.body_limit(kBodyMax);
    if (tls_) secure_ = make_tls_stream(stream_, *tls_, url.host);
    resolver_.async_resolve(url.host, url.port, [this](beast::error_code error, auto found) {
      if (!keep(error)) return;
      stream_.async_connect(found, [this](beast::error_code failed, const auto&) {
        if (keep(failed)) talk();
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
  void talk() {
    if (!secure_) return ask(stream_);
    secure_->async_handshake(asio::ssl::stream_base::client, [this](beast::error_code error) {
      if (keep(error)) ask(*secure_);
    });
  }
  template <typename Stream>
  void ask(Stream& stream) {
    http::async_write(stream, request_, [this, &stream](beast::error_code error, size_t) {
      if (!keep(error)) return;
      http::async_read(stream, buffer_, parser_,
                       [this](beast::error_code failed, size_t) { keep(failed); });
    });
  }

  std::shared_ptr<asio::ssl::context> tls_;
  asio::io_context loop_{1};
  asio::ip::tcp::resolver resolver_;
  beast::tcp_stream stream_;
  std::unique_ptr<TlsStream> secure_;
  beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response_parser<http::string_body> parser_;
  beast::error_code error_;
};

}  // namespace

Result<ClientResponse> http_send(const ClientRequest& request, int64_t timeout_ns,
                                 const Access& access) {
  const auto parsed = parse_url(request.url);
  if (!parsed) return parsed.error();
  std::shared_ptr<asio::ssl::context> tls;
  if (parsed->is_secure()) {
    auto made = make_client_tls(access.tls);
    if (!made) return std::move(made).error();
    tls = std::move(*made);
  }
  RequestUnderWay exchange(request, *parsed, access, std::move(tls));
  auto response = exchange.run(timeout_ns);
  if (!response) {
    return std::move(response).error().with_context(request.method + " " + request.url);
  }
  return response;
}

Result<ClientResponse> http_get(const std::string& url, int64_t timeout_ns, const Access& access) {
  return http_send({.method = "GET", .url = url, .content_type = {}, .body = {}}, timeout_ns,
                   access);
}

Result<std::string> http_get_body(const std::string& url, int64_t timeout_ns,
                                  const Access& access) {
  auto response = http_get(url, timeout_ns, access);
  if (!response) return std::move(response).error();
  if (response->status != 200) {
    return unavailable(
        "GET " + url + ": got status " + std::to_string(response->status) + ", expected 200",
        response->status == 401 || response->status == 403
            ? "the server wants a key: --api-key, or OPENAI_API_KEY"
            : "");
  }
  return std::move(response->body);
}

}  // namespace touchstone::http
