// An HTTP/1.1 server on Boost.Asio and Beast: accepts connections, reads requests within limits,
// hands each to one handler, and writes what the handler replies, at once or as it is made
// (chunked). Keep-alive, pipelining, chunked bodies and `Expect: 100-continue` are understood.
// A client that hangs up is noticed while its answer is being made, streamed or not.
// Source: RFC 9110, RFC 9112. The public functions are thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "http/http.h"

namespace touchstone::http {

struct HttpServerOptions {
  std::string host;      ///< empty: every address, IPv6 and IPv4
  uint16_t port = 8000;  ///< 0: any free one
  int threads = 2;

  /// The body of what the server itself refuses (400, 408, 413, 431, 500, 503): the API above it
  /// knows how its errors look.
  std::function<HttpResponse(int status, const std::string& type, const std::string& message)>
      error_reply = plain_error;

  size_t max_connections = 16'384;          ///< beyond: 503 and closed
  size_t max_header_bytes = 4'194'304;      ///< request line and headers; beyond: 431
  size_t max_headers = 256;                 ///< beyond: 431
  size_t max_body_bytes = 33'554'432;       ///< beyond: 413
  size_t max_stream_buffer_bytes = 65'536;  ///< pipelined input kept while an answer is made

  int64_t idle_timeout_ns = 60 * kNsPerSecond;   ///< between requests; then closed
  int64_t read_timeout_ns = 30 * kNsPerSecond;   ///< a header, and again a body; then 408
  int64_t write_timeout_ns = 30 * kNsPerSecond;  ///< one write of at most 64 KiB; then closed
};

/// Called on an I/O thread, several at a time: must be thread-safe. What it throws becomes a 500.
using HttpHandler = std::function<Reply(const HttpRequest&)>;
/// Called likewise after each exchange that was answered in full.
using HttpObserver = std::function<void(const HttpExchange&)>;

class HttpServer final {
 public:
  HttpServer(const HttpServerOptions& options, const Clock& clock, HttpHandler handler,
             HttpObserver observer);
  /// Stops at once.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Binds and listens. ERRORS: kUnavailable naming address and port.
  Status listen();
  /// The bound port. REQUIRES listen().
  uint16_t port() const;
  /// Runs the I/O threads and starts to accept. REQUIRES listen().
  void start();

  /// SIGTERM and SIGINT call `on_signal` on an I/O thread, each time. REQUIRES start() after.
  void watch_signals(std::function<void(int)> on_signal);

  /// Stops accepting, closes idle connections, lets answers under way end and then closes theirs.
  void drain();
  /// Waits until no connection is left or until `timeout_ns` has passed; true in the first case.
  bool wait_drained(int64_t timeout_ns);
  /// Closes everything and joins the threads.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace touchstone::http
