#include "harness/load/connection.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>

#include "http/asio_names.h"

namespace touchstone::harness {
namespace {

/// A slow reader's, so that the server feels it: the kernel makes the least it has of it.
constexpr int kSlowReceiveBytes = 1;

}  // namespace

asio::awaitable<std::string> Connection::exchange(const Message& message, ResponseReader& reader,
                                                  const Clock& clock, int64_t sent_ns,
                                                  int64_t read_pause_ns) {
  keep_alive_ = false;
  if (!stream_.connected()) {
    std::string problem = co_await stream_.connect();
    if (!problem.empty()) co_return problem;
  }
  co_return co_await stream_.with_stream(
      [&](auto& stream) { return talk(stream, message, reader, clock, sent_ns, read_pause_ns); });
}

template <typename Stream>
asio::awaitable<std::string> Connection::talk(Stream& stream, const Message& message,
                                              ResponseReader& reader, const Clock& clock,
                                              int64_t sent_ns, int64_t read_pause_ns) {
  if (read_pause_ns > 0) {
    error_code ignored;
    beast::get_lowest_layer(stream).socket().set_option(
        asio::socket_base::receive_buffer_size(kSlowReceiveBytes), ignored);
  }
  if (const auto [error, size] = co_await beast_http::async_write(stream, message, kAwait); error) {
    co_return "send: " + error.message();
  }
  beast_http::response_parser<beast_http::string_body> parser;
  parser.body_limit(boost::none);
  if (const auto [error, size] =
          co_await beast_http::async_read_header(stream, stream_.buffer(), parser, kAwait);
      error) {
    co_return "no response: " + error.message();
  }
  const std::string_view type = parser.get()[beast_http::field::content_type];
  reader.on_status(parser.get().result_int(), type.substr(0, 17) == "text/event-stream",
                   parser.get()["x-request-id"]);
  asio::steady_timer pause(co_await asio::this_coro::executor);
  while (!parser.is_done()) {
    if (read_pause_ns > 0) {
      pause.expires_after(std::chrono::nanoseconds(read_pause_ns));
      co_await pause.async_wait(kAwait);
    }
    const auto [error, size] =
        co_await beast_http::async_read_some(stream, stream_.buffer(), parser, kAwait);
    std::string& body = parser.get().body();
    const bool go_on = reader.on_body(body, clock.monotonic_ns() - sent_ns);
    body.clear();
    if (!go_on) co_return "";
    if (error) co_return "response broken off: " + error.message();
  }
  reader.on_end(clock.monotonic_ns() - sent_ns);
  // A socket that was made slow stays so.
  keep_alive_ = parser.get().keep_alive() && read_pause_ns == 0;
  co_return "";
}

}  // namespace touchstone::harness
