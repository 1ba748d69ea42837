// Where an HTTP server takes connections: an address and port, or the path of a Unix socket.
// Internal to server.cc. Thread-compatible: the acceptor's strand's own once it listens.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <string>
#include <tuple>

#include "base/result.h"
#include "http/server.h"
#include "http/server_stream.h"

namespace touchstone::http {

class Listener final {
 public:
  /// `options` outlives this.
  Listener(boost::asio::io_context& io, const HttpServerOptions& options);
  /// Removes the file of its Unix socket.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// ERRORS: kUnavailable naming the place.
  Status listen();
  /// 0 for a Unix socket.
  uint16_t port() const;
  /// "http://0.0.0.0:8000", "https://…", "unix:/run/x".
  std::string address() const;

  boost::asio::any_io_executor executor() { return acceptor_.get_executor(); }
  bool is_open() const { return acceptor_.is_open(); }
  void close();
  boost::asio::awaitable<std::tuple<boost::system::error_code>> accept(
      ServerStream::Socket& socket);

 private:
  using error_code = boost::system::error_code;
  using Protocol = boost::asio::generic::stream_protocol;

  Status listen_tcp();
  Status listen_unix();
  error_code bind(const Protocol::endpoint& endpoint);
  Error error_of(const std::string& where, const error_code& error, std::string hint) const;

  boost::asio::io_context& io_;
  const HttpServerOptions& options_;
  boost::asio::basic_socket_acceptor<Protocol> acceptor_;
  bool owns_file_ = false;
};

/// "127.0.0.1:51234", "unix" or "unknown".
std::string peer_address(const ServerStream::Socket& socket);

}  // namespace touchstone::http
