// One connection of the HTTP server: connection.cc reads and decides, connection_write.cc answers.
// Internal to server.cc. Everything but the wake function and a worker's handle() runs on the
// connection's strand.
#pragma once

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "http/server.h"
#include "http/server_stream.h"
#include "http/server_tls.h"

namespace touchstone::http {

class RequestParser;

/// Errors come back as values: std::tuple<error_code, …>.
inline constexpr auto kAsValue = boost::asio::as_tuple(boost::asio::use_awaitable);
/// The most that is read or written at a time.
inline constexpr size_t kTransferBytes = 65'536;

/// What all connections of a server share; outlives them.
struct ConnectionContext {
  const HttpServerOptions& options;
  const Clock& clock;
  HttpHandler& handler;
  HttpObserver& observer;
  boost::asio::thread_pool& workers;
  ByteBudget& budget;
  ServerTls* tls;  ///< null: plain
};

class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  /// The socket's executor is a strand. `on_end` is called by the destructor.
  Connection(ServerStream stream, const ConnectionContext& context, std::function<void()> on_end);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  boost::asio::any_io_executor executor() { return stream_.get_executor(); }
  /// Serves requests until the connection ends.
  boost::asio::awaitable<void> run();
  /// Answers 503 and ends.
  boost::asio::awaitable<void> turn_away();
  /// Any thread: ends at once when no complete request is there, else after the answer under way.
  void drain();

 private:
  using error_code = boost::system::error_code;
  enum class Part { kHeader, kBody };

  boost::asio::awaitable<bool> begin();
  boost::asio::awaitable<void> end();
  boost::asio::awaitable<bool> wait_for_request();
  boost::asio::awaitable<bool> serve_one();
  boost::asio::awaitable<error_code> parse(RequestParser& parser, Part part);
  boost::asio::awaitable<bool> read_body(RequestParser& parser);
  boost::asio::awaitable<bool> skip_body(RequestParser& parser);
  boost::asio::awaitable<Reply> handle(HttpRequest& request, Admission::Place place);
  boost::asio::awaitable<bool> answer(HttpRequest& request, Reply reply);
  boost::asio::awaitable<void> refuse_bytes(RequestParser& parser, error_code error);
  boost::asio::awaitable<void> refuse(HttpResponse response, const std::string& why);
  HttpResponse over_budget() const;
  /// What was read and not yet used.
  std::string_view input() const;

  boost::asio::awaitable<bool> send_response(HttpResponse response, bool head_only);
  boost::asio::awaitable<bool> send_pending(HttpRequest& request,
                                            std::unique_ptr<PendingReply> pending);
  boost::asio::awaitable<HttpResponse> finished_response(HttpRequest& request,
                                                         PendingReply& pending);
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

  const HttpServerOptions& options_;
  const Clock& clock_;
  HttpHandler& handler_;
  HttpObserver& observer_;
  boost::asio::thread_pool& workers_;
  ByteBudget& budget_;
  ServerTls* const tls_;
  const std::function<void()> on_end_;
  ServerStream stream_;
  boost::beast::flat_buffer buffer_;
  ByteBudget::Lease buffer_memory_;
  boost::asio::steady_timer deadline_;
  uint64_t deadline_number_ = 0;    // tells a late expiry from the current one
  boost::asio::steady_timer wake_;  // never expires: cancelling it wakes who waits
  std::atomic<bool> wake_posted_{false};
  bool ready_ = false;  // the pending reply may have more
  bool timed_out_ = false;
  bool incomplete_ = false;  // there is no request, or not all of one
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
