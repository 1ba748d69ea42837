// An HTTP/1.1 server on Boost.Asio and Beast: accepts connections, reads requests within limits,
// hands each to one handler, and writes what the handler replies, at once or as it is made
// (chunked). The handler sees the header before the body is read; what may take long runs on worker
// threads, so that the I/O threads always have time for the rest. Keep-alive, pipelining, chunked
// bodies and `Expect: 100-continue` are understood. A client that hangs up is noticed while its
// answer is being made, streamed or not. Source: RFC 9110, RFC 9112. The public functions are
// thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "http/http.h"

namespace touchstone::http {

/// What a server shows its clients, and demands of them.
struct ServerTlsOptions {
  enum class ClientCertificate { kNone, kOptional, kRequired };

  std::string certificate_file;  ///< PEM, the chain
  std::string key_file;          ///< PEM; empty: it is in certificate_file
  std::string ca_file;           ///< PEM, who may sign clients' certificates
  ClientCertificate client_certificate = ClientCertificate::kNone;
  std::string ciphers;   ///< of TLS 1.2, as OpenSSL names them; empty: its own choice
  bool refresh = false;  ///< read the files again when they change
};

struct HttpServerOptions {
  std::string host;      ///< empty: every address, IPv6 and IPv4
  uint16_t port = 8000;  ///< 0: any free one
  std::string uds = {};  ///< path of a Unix socket to listen on in their place; empty: none
  std::optional<ServerTlsOptions> tls = {};  ///< absent: plain HTTP
  int threads = 2;                      ///< read, write, and answer what is quick
  int workers = 2;                      ///< handle what may take long

  /// The body of what the server itself refuses (400, 408, 413, 431, 500, 503): the API above it
  /// knows how its errors look.
  std::function<HttpResponse(int status, const std::string& type, const std::string& message)>
      error_reply = plain_error;

  size_t max_connections = 16'384;  ///< beyond: 503 and closed
  /// Of all requests together, header, body and what the handler makes of them; beyond: 503.
  int64_t max_request_memory_bytes = 1'073'741'824;
  size_t max_header_bytes = 4'194'304;    ///< request line and headers; beyond: 431
  size_t max_headers = 256;               ///< beyond: 431
  size_t max_body_bytes = 33'554'432;     ///< beyond: 413
  size_t max_stream_buffer_bytes = 8192;  ///< pipelined input kept while an answer is made

  int64_t idle_timeout_ns = 60 * kNsPerSecond;       ///< between requests; then closed
  int64_t read_timeout_ns = 30 * kNsPerSecond;       ///< a header, and again a body; then 408
  int64_t write_timeout_ns = 10 * kNsPerSecond;      ///< one write of at most 64 KiB; then closed
  int64_t handshake_timeout_ns = 10 * kNsPerSecond;  ///< of TLS; then closed
};

/// Many idle connections need as many descriptors; the soft limit is often far below the hard one.
void raise_descriptor_limit();

class HttpServer final {
 public:
  /// `clock`, `handler` and `observer` outlive the server.
  HttpServer(const HttpServerOptions& options, const Clock& clock, HttpHandler& handler,
             HttpObserver& observer);
  /// Stops at once.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Reads the certificate, binds and listens. ERRORS: kInvalidArgument for TLS or the path;
  /// kUnavailable naming the place.
  Status listen();
  /// The bound port; 0 for a Unix socket. REQUIRES listen().
  uint16_t port() const;
  /// Where it listens: "http://0.0.0.0:8000", "https://…", "unix:/run/x". REQUIRES listen().
  std::string address() const;
  /// Runs the I/O threads and starts to accept. REQUIRES listen().
  void start();

  /// SIGTERM and SIGINT call `on_signal` on an I/O thread, each time. REQUIRES start() after.
  void watch_signals(std::function<void(int)> on_signal);

  /// Stops accepting, closes connections without a complete request, lets answers under way end and
  /// then closes theirs. `on_drained` is called once no connection is left, on any thread.
  void drain(std::function<void()> on_drained);
  /// Closes everything and joins the threads.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace touchstone::http
