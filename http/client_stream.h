// A client's connection to one server, plain or over TLS, that may be kept between requests.
// Thread-compatible.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/access.h"
#include "http/tls.h"
#include "http/url.h"

namespace touchstone::http {

/// A server as connections see it.
struct Endpoint {
  std::string host;
  std::vector<boost::asio::ip::tcp::endpoint> addresses;
  std::shared_ptr<boost::asio::ssl::context> tls;  ///< null: plain
};

/// Looks the host up. ERRORS: kInvalidArgument for a CA file, kIo when the name does not resolve.
Result<Endpoint> resolve_endpoint(const Url& url, const TlsOptions& tls);

class ClientStream final {
 public:
  /// `endpoint` outlives this.
  ClientStream(boost::asio::io_context& loop, const Endpoint& endpoint);

  /// Everything from now on ends with an error after `timeout_ns`.
  void expires_after(int64_t timeout_ns);
  void expires_never() { stream_.expires_never(); }

  bool connected() const { return connected_; }
  /// Connects, over TLS where the endpoint says so; what went wrong, or "".
  boost::asio::awaitable<std::string> connect();

  void set_idle(int64_t now_ns);
  /// It is still open, and did not idle so long that the server may be closing it.
  bool is_fresh(int64_t now_ns);
  void close();

  /// `talk(stream)` with the stream to read and write: the socket's or TLS's.
  template <typename Talk>
  auto with_stream(const Talk& talk) {
    return secure_ ? talk(*secure_) : talk(stream_);
  }
  boost::beast::flat_buffer& buffer() { return buffer_; }

 private:
  const Endpoint& endpoint_;
  boost::beast::tcp_stream stream_;
  std::unique_ptr<TlsStream> secure_;
  boost::beast::flat_buffer buffer_;
  bool connected_ = false;
  int64_t idle_since_ns_ = 0;
};

}  // namespace touchstone::http
