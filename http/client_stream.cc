#include "http/client_stream.h"

#include <boost/asio/ssl/stream_base.hpp>
#include <chrono>

#include "base/clock.h"
#include "http/asio_names.h"

namespace touchstone::http {
namespace {

/// Servers close idle connections after 5 s (uvicorn's default); one that idled for less cannot be
/// closed just as the next request is written.
constexpr int64_t kIdleMaxNs = 2 * kNsPerSecond;

}  // namespace

Result<Endpoint> resolve_endpoint(const Url& url, const TlsOptions& tls) {
  Endpoint endpoint;
  endpoint.host = url.host;
  if (url.is_secure()) {
    auto made = make_client_tls(tls);
    if (!made) return std::move(made).error();
    endpoint.tls = std::move(*made);
  }
  asio::io_context loop;
  tcp::resolver resolver(loop);
  error_code error;
  const auto found = resolver.resolve(url.host, url.port, error);
  if (error) return io_error(url.text() + ": cannot resolve: " + error.message());
  for (const auto& entry : found) endpoint.addresses.push_back(entry.endpoint());
  return endpoint;
}

ClientStream::ClientStream(asio::io_context& loop, const Endpoint& endpoint)
    : endpoint_(endpoint), stream_(loop) {
  if (endpoint.tls) secure_ = make_tls_stream(stream_, *endpoint.tls, endpoint.host);
}

void ClientStream::expires_after(int64_t timeout_ns) {
  stream_.expires_after(std::chrono::nanoseconds(timeout_ns));
}

void ClientStream::set_idle(int64_t now_ns) {
  stream_.expires_never();
  idle_since_ns_ = now_ns;
}

bool ClientStream::is_fresh(int64_t now_ns) {
  if (!connected_ || now_ns - idle_since_ns_ > kIdleMaxNs) return false;
  error_code error;
  stream_.socket().non_blocking(true, error);
  char byte;
  stream_.socket().receive(asio::buffer(&byte, 1), tcp::socket::message_peek, error);
  return error == asio::error::would_block;  // open, and nothing unasked for
}

void ClientStream::close() {
  stream_.close();
  connected_ = false;
}

asio::awaitable<std::string> ClientStream::connect() {
  const auto [error, address] = co_await stream_.async_connect(endpoint_.addresses, kAwait);
  if (error) co_return "connect: " + error.message();
  error_code ignored;
  stream_.socket().set_option(tcp::no_delay(true), ignored);
  if (secure_) {
    const auto [failed] = co_await secure_->async_handshake(asio::ssl::stream_base::client, kAwait);
    if (failed) co_return "TLS: " + failed.message();
  }
  connected_ = true;
  co_return "";
}

}  // namespace touchstone::http
