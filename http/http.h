// HTTP as the handlers see it: requests, replies, and replies that are still being made. No
// sockets here; server.h moves them over the wire. Values unless said otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/byte_budget.h"

namespace touchstone::http {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;  ///< "GET"
  std::string target;  ///< as sent, the query included
  std::string path;    ///< without the query
  HttpHeaders headers;
  std::string body;
  int64_t arrival_unix_ns = 0;  ///< when it was complete
  int64_t arrival_ns = 0;
  /// What it holds of the server's budget: header and body at first. It is kept until the exchange
  /// is over; a handler that makes more of the request, or less, resizes it.
  ByteBudget::Lease memory;

  /// The first value of a header, in any case; nullopt when absent.
  std::optional<std::string> header(std::string_view name) const;
  /// The last value of a parameter of the query, decoded; nullopt when absent.
  std::optional<std::string> query(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type;  ///< empty: no such header
  HttpHeaders headers;       ///< besides content-length, content-type and what every reply has
  std::string body;
};

/// An answer under way. Made by a handler, used by one connection. Destroying it before finished()
/// means that the client has gone: its work is aborted.
class PendingReply {
 public:
  virtual ~PendingReply() = default;
  /// `wake` is called, from any thread, whenever there may be more to take. It must outlive
  /// neither the connection nor this: it does nothing once the connection is gone.
  virtual void set_wake(std::function<void()> wake) = 0;
  /// False: it is not known yet how it will be answered; whoever waits is woken when that may have
  /// changed. ORDER: streams(), response() and take() are called once it is true.
  virtual bool is_decided() const { return true; }
  /// Takes in what has arrived and returns the text of the body to send next (streams), maybe
  /// empty. ORDER: after it, finished() says whether that was the last of it.
  virtual std::string take() = 0;
  virtual bool finished() const = 0;
  /// Streams: status and headers, sent before any text. Otherwise the whole answer, made where
  /// there is time for it: on an I/O thread or a worker. Called once.
  /// REQUIRES for the latter: finished().
  virtual HttpResponse response() = 0;
  /// The most that response() adds to what the request holds of the budget. REQUIRES: finished().
  virtual int64_t response_bytes() const = 0;
  virtual bool streams() const = 0;
};

struct Reply {
  HttpResponse response;  ///< the reply when `pending` is null
  std::unique_ptr<PendingReply> pending;
  std::string route;  ///< the pattern that matched, for statistics; empty: none
};

/// What becomes of a request of which only the header has arrived.
struct Admission {
  enum class Place {
    kIoThread,  ///< bounded, quick work: handled where other connections are served
    kWorker,    ///< may take long: waits for one of the worker threads
  };
  /// Set: the answer; the body is not wanted.
  std::optional<Reply> refusal;
  Place place = Place::kIoThread;
};

/// What a server serves. Called from several threads at a time: thread-safe. What it throws becomes
/// a 500.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  /// On an I/O thread, before the body is read: must be quick. `head` has no body yet.
  virtual Admission admit(const HttpRequest& head) = 0;
  /// The whole request, in the place that admit() named.
  virtual Reply handle(HttpRequest& request) = 0;
};

/// One exchange of request and answer.
struct HttpExchange {
  std::string client;  ///< "127.0.0.1:51234"
  std::string route;   ///< the pattern that matched; empty: none
  std::string method;
  std::string target;
  bool http_1_0 = false;
  int status = 200;
  int64_t request_bytes = 0;   ///< of the body
  int64_t response_bytes = 0;  ///< of the body; 0 for a stream
  int64_t duration_ns = 0;     ///< since the request was complete
};

/// Who wants to know. Called on the I/O threads, several at a time: thread-safe and quick.
class HttpObserver {
 public:
  virtual ~HttpObserver() = default;
  /// The status is known, nothing is sent yet. No response_bytes of a stream, no duration.
  virtual void on_response_start(const HttpExchange& exchange) = 0;
  /// The answer was sent in full.
  virtual void on_response_end(const HttpExchange& exchange) = 0;
  /// The server itself turned the client `exchange.client` away, or gave it up.
  virtual void on_problem(const HttpExchange& exchange, const std::string& why) = 0;
};

/// Status and `message` as text/plain.
HttpResponse plain_error(int status, const std::string& type, const std::string& message);

/// "Not Found"; empty for codes that this server never sends.
std::string_view reason_phrase(int status);

}  // namespace touchstone::http
