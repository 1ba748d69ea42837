#include "harness/load/connection.h"

#include <boost/asio/ssl/stream_base.hpp>
#include <chrono>

#include "harness/load/asio_names.h"

namespace touchstone::harness {
namespace {

/// Servers close idle connections after 5 s (uvicorn's default); one that idled for less cannot be
/// closed just as the next request is written.
constexpr int64_t kIdleMaxNs = 2 * kNsPerSecond;

}  // namespace

Connection::Connection(asio::io_context& loop, const Endpoint& endpoint)
    : endpoint_(endpoint), stream_(loop) {
  if (endpoint.tls) secure_ = http::make_tls_stream(stream_, *endpoint.tls, endpoint.host);
}

void Connection::expires_after(int64_t timeout_ns) {
  stream_.expires_after(std::chrono::nanoseconds(timeout_ns));
}

void Connection::set_idle(int64_t now_ns) {
  stream_.expires_never();
  idle_since_ns_ = now_ns;
}

bool Connection::is_fresh(int64_t now_ns) {
  if (now_ns - idle_since_ns_ > kIdleMaxNs) return false;
  error_code error;
  stream_.socket().non_blocking(true, error);
  char byte;
  stream_.socket().receive(asio::buffer(&byte, 1), tcp::socket::message_peek, error);
  return error == asio::error::would_block;  // open, and nothing unasked for
}

asio::awaitable<std::string> Connection::connect() {
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

asio::awaitable<std::string> Connection::exchange(const Message& message, ResponseReader& reader,
                                                  const Clock& clock, int64_t sent_ns) {
  keep_alive_ = false;
  if (!connected_) {
    std::string problem = co_await connect();
    if (!problem.empty()) co_return problem;
  }
  if (secure_) co_return co_await talk(*secure_, message, reader, clock, sent_ns);
  co_return co_await talk(stream_, message, reader, clock, sent_ns);
}

template <typename Stream>
asio::awaitable<std::string> Connection::talk(Stream& stream, const Message& message,
                                              ResponseReader& reader, const Clock& clock,
                                              int64_t sent_ns) {
  if (const auto [error, size] = co_await beast_http::async_write(stream, message, kAwait); error) {
    co_return "send: " + error.message();
  }
  beast_http::response_parser<beast_http::string_body> parser;
  parser.body_limit(boost::none);
  if (const auto [error, size] =
          co_await beast_http::async_read_header(stream, buffer_, parser, kAwait);
      error) {
    co_return "no response: " + error.message();
  }
  const std::string_view type = parser.get()[beast_http::field::content_type];
  reader.on_status(parser.get().result_int(), type.substr(0, 17) == "text/event-stream",
                   parser.get()["x-request-id"]);
  while (!parser.is_done()) {
    const auto [error, size] =
        co_await beast_http::async_read_some(stream, buffer_, parser, kAwait);
    std::string& body = parser.get().body();
    const bool go_on = reader.on_body(body, clock.monotonic_ns() - sent_ns);
    body.clear();
    if (!go_on) co_return "";
    if (error) co_return "response broken off: " + error.message();
  }
  reader.on_end(clock.monotonic_ns() - sent_ns);
  keep_alive_ = parser.get().keep_alive();
  co_return "";
}

}  // namespace touchstone::harness
