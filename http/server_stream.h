// A server's connection as bytes: a TCP or Unix socket, plain or under TLS. One read and one write
// may be under way at a time. Thread-compatible: a strand's own.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <utility>

namespace touchstone::http {

class ServerStream final {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;
  using executor_type = Socket::executor_type;

  /// `tls` is null for a plain one.
  ServerStream(Socket socket, std::shared_ptr<boost::asio::ssl::context> tls)
      : tls_(std::move(tls)), socket_(std::make_unique<Socket>(std::move(socket))) {
    if (tls_) secure_ = std::make_unique<Secure>(*socket_, *tls_);
  }

  executor_type get_executor() { return socket_->get_executor(); }
  Socket& socket() { return *socket_; }
  bool is_secure() const { return secure_ != nullptr; }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return secure_ ? secure_->async_read_some(buffers, std::forward<Token>(token))
                   : socket_->async_read_some(buffers, std::forward<Token>(token));
  }
  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return secure_ ? secure_->async_write_some(buffers, std::forward<Token>(token))
                   : socket_->async_write_some(buffers, std::forward<Token>(token));
  }
  /// REQUIRES: is_secure().
  template <typename Token>
  auto async_handshake(Token&& token) {
    return secure_->async_handshake(boost::asio::ssl::stream_base::server,
                                    std::forward<Token>(token));
  }
  /// Says that nothing more is sent, and waits until the client says so too. REQUIRES: is_secure().
  template <typename Token>
  auto async_shutdown(Token&& token) {
    return secure_->async_shutdown(std::forward<Token>(token));
  }

 private:
  using Secure = boost::asio::ssl::stream<Socket&>;

  std::shared_ptr<boost::asio::ssl::context> tls_;  // of this connection, whatever comes after it
  std::unique_ptr<Socket> socket_;                  // secure_ refers to it, wherever this is moved
  std::unique_ptr<Secure> secure_;
};

}  // namespace touchstone::http
