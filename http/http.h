// HTTP as the handlers see it: requests, replies, and replies that are still being made. No
// sockets here; http_server.h moves them over the wire. Values unless said otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace touchstone::http {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;  ///< "GET"
  std::string path;    ///< without the query
  HttpHeaders headers;
  std::string body;
  int64_t arrival_unix_ns = 0;  ///< when it was complete
  int64_t arrival_ns = 0;

  /// The first value of a header, in any case; nullopt when absent.
  std::optional<std::string> header(std::string_view name) const;
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
  /// Takes in what has arrived and returns the text of the body to send next (streams), maybe
  /// empty. ORDER: after it, finished() says whether that was the last of it.
  virtual std::string take() = 0;
  virtual bool finished() const = 0;
  /// Streams: status and headers, sent before any text. Otherwise the whole answer.
  /// REQUIRES for the latter: finished().
  virtual HttpResponse response() = 0;
  virtual bool streams() const = 0;
};

struct Reply {
  HttpResponse response;  ///< the reply when `pending` is null
  std::unique_ptr<PendingReply> pending;
  std::string route;  ///< the pattern that matched, for statistics; empty: none
};

/// One exchange, when it is over.
struct HttpExchange {
  std::string route;
  std::string method;
  int status = 200;
  int64_t request_bytes = 0;   ///< of the body
  int64_t response_bytes = 0;  ///< of the body; 0 for a stream
  int64_t duration_ns = 0;     ///< since the request was complete
};

/// Status and `message` as text/plain.
HttpResponse plain_error(int status, const std::string& type, const std::string& message);

/// "Not Found"; empty for codes that this server never sends.
std::string_view reason_phrase(int status);

}  // namespace touchstone::http
