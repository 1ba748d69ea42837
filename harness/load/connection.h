// One connection of the load generator, plain or over TLS. Thread-compatible.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "harness/load/exchange.h"
#include "http/tls.h"

namespace touchstone::harness {

/// A server as connections see it.
struct Endpoint {
  std::string host;
  std::vector<boost::asio::ip::tcp::endpoint> addresses;
  std::shared_ptr<boost::asio::ssl::context> tls;  ///< null: plain
};

class Connection final {
 public:
  using Message = boost::beast::http::request<boost::beast::http::string_body>;

  Connection(boost::asio::io_context& loop, const Endpoint& endpoint);

  /// Everything from now on ends with an error after `timeout_ns`.
  void expires_after(int64_t timeout_ns);
  /// One request and its response, connecting first where needed; what went wrong on the way, or ""
  /// (also after a hang-up). `sent_ns`: when sending began, on `clock`.
  boost::asio::awaitable<std::string> exchange(const Message& message, ResponseReader& reader,
                                               const Clock& clock, int64_t sent_ns);
  /// The last response allows another request.
  bool can_be_kept() const { return keep_alive_; }
  void set_idle(int64_t now_ns);
  /// It is still open, and did not idle so long that the server may be closing it.
  bool is_fresh(int64_t now_ns);
  void close() { stream_.close(); }

 private:
  boost::asio::awaitable<std::string> connect();
  template <typename Stream>
  boost::asio::awaitable<std::string> talk(Stream& stream, const Message& message,
                                           ResponseReader& reader, const Clock& clock,
                                           int64_t sent_ns);

  const Endpoint& endpoint_;
  boost::beast::tcp_stream stream_;
  std::unique_ptr<http::TlsStream> secure_;
  boost::beast::flat_buffer buffer_;
  bool connected_ = false;
  bool keep_alive_ = false;
  int64_t idle_since_ns_ = 0;
};

}  // namespace touchstone::harness
