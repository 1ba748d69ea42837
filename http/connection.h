// One connection of the HTTP server. Internal to http_server.cc and http_connection.cc; this is the
// only header with Asio and Beast in it. Everything but the wake function runs on the connection's
// strand.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "http/server.h"

namespace touchstone::http {

/// What all connections of a server share; outlives them.
struct ConnectionContext {
  const HttpServerOptions& options;
  const Clock& clock;
  const HttpHandler& handler;
  const HttpObserver& observer;
};

class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  /// The socket's executor is a strand.
  Connection(boost::asio::ip::tcp::socket socket, const ConnectionContext& context);

  boost::asio::any_io_executor executor() { return socket_.get_executor(); }
  /// Serves requests until the connection ends.
  boost::asio::awaitable<void> run();
  /// Answers 503 and ends.
  boost::asio::awaitable<void> refuse();
  /// Any thread: ends when idle, else after the answer under way.
  void drain();

 private:
  struct ReadResult;

  boost::asio::awaitable<bool> wait_for_request();
  boost::asio::awaitable<ReadResult> read_request();
  boost::asio::awaitable<bool> serve_one();
  boost::asio::awaitable<bool> send_response(HttpResponse response, bool head_only);
  boost::asio::awaitable<bool> send_pending(std::unique_ptr<PendingReply> pending);
  boost::asio::awaitable<bool> send_stream(PendingReply& pending);
  boost::asio::awaitable<bool> write(std::string_view text);
  boost::asio::awaitable<void> watch();
  boost::asio::awaitable<void> stop_watching();
  boost::asio::awaitable<void> wait_for_wake();
  boost::asio::awaitable<void> linger();
  std::string head_of(const HttpResponse& response, std::string_view framing) const;
  std::function<void()> waker();

  enum class Expiry { kStopReading, kClose };
  void arm(int64_t timeout_ns, Expiry expiry);
  void disarm();

  boost::asio::ip::tcp::socket socket_;
  const HttpServerOptions& options_;
  const Clock& clock_;
  const HttpHandler& handler_;
  const HttpObserver& observer_;
  boost::beast::flat_buffer buffer_;
  boost::asio::steady_timer deadline_;
  uint64_t deadline_number_ = 0;    // tells a late expiry from the current one
  boost::asio::steady_timer wake_;  // never expires: cancelling it wakes who waits
  std::atomic<bool> wake_posted_{false};
  bool ready_ = false;  // the pending reply may have more
  bool timed_out_ = false;
  bool idle_ = false;
  bool draining_ = false;
  bool keep_alive_ = true;  // of the current request
  bool http_1_0_ = false;   // of the current request
  bool linger_ = false;     // unread input: closing at once could destroy our answer
  bool watching_ = false;
  bool stop_watching_ = false;
  bool client_gone_ = false;
  HttpExchange exchange_;  // of the current request
};

}  // namespace touchstone::http
