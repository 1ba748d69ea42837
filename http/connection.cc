#include "http/connection.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <chrono>
#include <exception>

#include "base/text.h"
#include "http/date.h"

namespace touchstone::http {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::beast::error_code;

// Errors come back as values: std::tuple<error_code, …>.
constexpr auto kAsValue = asio::as_tuple(asio::use_awaitable);
constexpr size_t kWriteBytes = 65'536;
constexpr int64_t kLingerNs = 2 * kNsPerSecond;
constexpr size_t kLingerBytes = 64 << 20;

HttpResponse plain_text(int status, std::string text) {
  return {.status = status,
          .content_type = "text/plain; charset=utf-8",
          .headers = {},
          .body = std::move(text)};
}

std::string chunk(std::string_view text) {
  char size[16];
  const auto end = std::to_chars(size, size + sizeof size, text.size(), 16).ptr;
  std::string out(size, end);
  out += "\r\n";
  out += text;
  out += "\r\n";
  return out;
}

}  // namespace

/// A request, or the answer to bytes that are none, or neither when the connection is over.
struct Connection::ReadResult {
  std::optional<HttpRequest> request;
  std::optional<HttpResponse> refusal;
};

Connection::Connection(asio::ip::tcp::socket socket, const ConnectionContext& context)
    : socket_(std::move(socket)),
      options_(context.options),
      clock_(context.clock),
      handler_(context.handler),
      observer_(context.observer),
      buffer_(options_.max_header_bytes + kWriteBytes),
      deadline_(socket_.get_executor()),
      wake_(socket_.get_executor()) {}

void Connection::drain() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->draining_ = true;
    error_code ignored;
    if (self->idle_) self->socket_.close(ignored);
  });
}

/// After `timeout_ns` the connection stops reading (so that an answer can still be written) or is
/// closed. Both stay in force for every later operation, unlike a cancellation.
void Connection::arm(int64_t timeout_ns, Expiry expiry) {
  const uint64_t number = ++deadline_number_;
  deadline_.expires_after(std::chrono::nanoseconds(timeout_ns));
  deadline_.async_wait([self = shared_from_this(), number, expiry](error_code error) {
    if (error || number != self->deadline_number_) return;
    self->timed_out_ = true;
    error_code ignored;
    if (expiry == Expiry::kClose) {
      self->socket_.close(ignored);
    } else {
      self->socket_.shutdown(asio::ip::tcp::socket::shutdown_receive, ignored);
    }
  });
}

void Connection::disarm() {
  ++deadline_number_;
  deadline_.cancel();
}

asio::awaitable<void> Connection::run() {
  const auto self = shared_from_this();  // the coroutine keeps its connection
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  for (bool open = true; open;) {
    open = buffer_.size() > 0 || co_await wait_for_request();
    if (open) open = co_await serve_one();
  }
  if (linger_) co_await linger();
  disarm();
  socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

asio::awaitable<void> Connection::refuse() {
  const auto self = shared_from_this();
  keep_alive_ = false;
  linger_ = true;
  co_await send_response(
      options_.error_reply(503, "ServiceUnavailableError",
                           "too many connections: " + std::to_string(options_.max_connections) +
                               " are open, the most that this server takes"),
      false);
  co_await linger();
  disarm();
}

/// Waits without a buffer, so that an idle connection costs little.
asio::awaitable<bool> Connection::wait_for_request() {
  if (draining_) co_return false;
  buffer_.shrink_to_fit();
  idle_ = true;
  arm(options_.idle_timeout_ns, Expiry::kClose);
  const auto [error] = co_await socket_.async_wait(asio::ip::tcp::socket::wait_read, kAsValue);
  disarm();
  idle_ = false;
  co_return !error && socket_.is_open();
}

asio::awaitable<Connection::ReadResult> Connection::read_request() {
  ReadResult result;
  http::request_parser<http::string_body> parser;
  parser.header_limit(static_cast<uint32_t>(options_.max_header_bytes));
  parser.body_limit(options_.max_body_bytes);
  arm(options_.read_timeout_ns, Expiry::kStopReading);
  auto [error, bytes] = co_await http::async_read_header(socket_, buffer_, parser, kAsValue);
  static_cast<void>(bytes);
  if (!error && static_cast<size_t>(std::distance(parser.get().begin(), parser.get().end())) >
                    options_.max_headers) {
    error = http::error::header_limit;
  }
  if (!error) {
    http_1_0_ = parser.get().version() < 11;
    keep_alive_ = parser.keep_alive();
    if (starts_with_ignoring_case(parser.get()[http::field::expect], "100-continue") &&
        !parser.is_done()) {
      if (!co_await write("HTTP/1.1 100 Continue\r\n\r\n")) co_return result;
    }
    arm(options_.read_timeout_ns, Expiry::kStopReading);
    std::tie(error, bytes) = co_await http::async_read(socket_, buffer_, parser, kAsValue);
  }
  disarm();
  if (!error) {
    HttpRequest& request = result.request.emplace();
    request.arrival_unix_ns = clock_.unix_ns();
    request.arrival_ns = clock_.monotonic_ns();
    request.method = parser.get().method_string();
    request.path = std::string(parser.get().target()).substr(0, parser.get().target().find('?'));
    for (const auto& field : parser.get()) {
      request.headers.emplace_back(field.name_string(), field.value());
    }
    request.body = std::move(parser.get().body());
    co_return result;
  }
  keep_alive_ = false;
  linger_ = true;
  if (timed_out_) {
    result.refusal = plain_text(408, "The request did not arrive in time.");
  } else if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    result.refusal = plain_text(431, "The request's headers are too large.");
  } else if (error == http::error::body_limit) {
    result.refusal = options_.error_reply(413, "Content Too Large",
                                          "request body: got more than " +
                                              std::to_string(options_.max_body_bytes) +
                                              " bytes, the most that this server takes");
  } else if (error == http::error::end_of_stream || error == http::error::partial_message ||
             error.category() != http::make_error_code(http::error::bad_method).category()) {
    linger_ = false;  // the client has gone
  } else {
    result.refusal = plain_text(400, "Invalid HTTP request received.");
  }
  co_return result;
}

/// Reads, handles and answers one request; false when the connection is to end.
asio::awaitable<bool> Connection::serve_one() {
  ReadResult read = co_await read_request();
  if (read.refusal) {
    co_await send_response(std::move(*read.refusal), false);
    co_return false;
  }
  if (!read.request) co_return false;
  const bool head_only = read.request->method == "HEAD";
  Reply reply;
  try {
    reply = handler_(*read.request);
  } catch (const std::exception& problem) {
    // A library threw, for lack of memory say: this request fails, the server goes on.
    reply = {.response = options_.error_reply(500, "InternalServerError", problem.what()),
             .pending = nullptr,
             .route = {}};
  }
  exchange_ = {.route = std::move(reply.route),
               .method = std::move(read.request->method),
               .request_bytes = static_cast<int64_t>(read.request->body.size())};
  const int64_t arrival_ns = read.request->arrival_ns;
  read.request.reset();
  if (draining_) keep_alive_ = false;
  bool sent = false;
  if (reply.pending) {
    sent = co_await send_pending(std::move(reply.pending));
  } else {
    sent = co_await send_response(std::move(reply.response), head_only);
  }
  if (sent) {
    exchange_.duration_ns = clock_.monotonic_ns() - arrival_ns;
    observer_(exchange_);
  }
  co_return sent&& keep_alive_;
}

std::string Connection::head_of(const HttpResponse& response, std::string_view framing) const {
  std::string out = "HTTP/1.1 " + std::to_string(response.status) + " ";
  out += reason_phrase(response.status);
  out += "\r\ndate: " + http_date(clock_.unix_ns()) + "\r\nserver: touchstone\r\n";
  out += framing;
  if (!response.content_type.empty()) out += "content-type: " + response.content_type + "\r\n";
  for (const auto& [name, value] : response.headers) out += name + ": " + value + "\r\n";
  if (!keep_alive_) {
    out += "connection: close\r\n";
  } else if (http_1_0_) {
    out += "connection: keep-alive\r\n";
  }
  out += "\r\n";
  return out;
}

asio::awaitable<bool> Connection::send_response(HttpResponse response, bool head_only) {
  if (draining_) keep_alive_ = false;
  std::string text =
      head_of(response, "content-length: " + std::to_string(response.body.size()) + "\r\n");
  exchange_.status = response.status;
  exchange_.response_bytes = static_cast<int64_t>(response.body.size());
  if (!head_only) text += response.body;
  co_return co_await write(text);
}

asio::awaitable<bool> Connection::send_pending(std::unique_ptr<PendingReply> pending) {
  client_gone_ = false;
  ready_ = false;
  pending->set_wake(waker());
  stop_watching_ = false;
  watching_ = true;
  asio::co_spawn(socket_.get_executor(), watch(),
                 [self = shared_from_this()](const std::exception_ptr&) {
                   self->watching_ = false;
                   self->wake_.cancel();
                 });
  bool sent = false;
  if (pending->streams()) {
    sent = co_await send_stream(*pending);
  } else {
    pending->take();
    while (!pending->finished() && !client_gone_) {
      co_await wait_for_wake();
      pending->take();
    }
    if (pending->finished()) sent = co_await send_response(pending->response(), false);
  }
  pending.reset();  // aborts when unfinished
  co_await stop_watching();
  co_return sent && !client_gone_;
}

asio::awaitable<bool> Connection::send_stream(PendingReply& pending) {
  if (http_1_0_) keep_alive_ = false;  // no chunks there: the end of the body is the end of all
  const std::string_view framing = http_1_0_ ? "" : "transfer-encoding: chunked\r\n";
  if (!co_await write(head_of(pending.response(), framing))) co_return false;
  for (;;) {
    const std::string text = pending.take();
    const bool last = pending.finished();
    std::string out;
    if (!text.empty()) out = http_1_0_ ? text : chunk(text);
    if (last && !http_1_0_) out += "0\r\n\r\n";
    if (!out.empty() && !co_await write(out)) co_return false;
    if (last) co_return true;
    if (client_gone_) co_return false;
    if (text.empty()) co_await wait_for_wake();
  }
}

/// Writes all of `text`; false when the client has gone or does not read.
asio::awaitable<bool> Connection::write(std::string_view text) {
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, kWriteBytes);
    arm(options_.write_timeout_ns, Expiry::kClose);
    const auto [error, bytes] =
        co_await asio::async_write(socket_, asio::buffer(piece.data(), piece.size()), kAsValue);
    disarm();
    if (error || bytes != piece.size()) co_return false;
    text.remove_prefix(piece.size());
  }
  co_return true;
}

/// Notices, while an answer is being made, that the client hangs up: only a read can tell.
/// What a pipelining client sends meanwhile is kept for the next request.
asio::awaitable<void> Connection::watch() {
  while (!stop_watching_ && buffer_.size() < options_.max_stream_buffer_bytes) {
    const auto [error, bytes] = co_await socket_.async_read_some(buffer_.prepare(4096), kAsValue);
    buffer_.commit(bytes);
    if (error && !stop_watching_) {
      client_gone_ = true;
      co_return;
    }
  }
}

asio::awaitable<void> Connection::stop_watching() {
  stop_watching_ = true;
  error_code ignored;
  socket_.cancel(ignored);
  while (watching_) co_await wait_for_wake();
}

asio::awaitable<void> Connection::wait_for_wake() {
  const bool was_watching = watching_;
  while (!ready_ && !client_gone_ && watching_ == was_watching) {
    wake_.expires_at(asio::steady_timer::time_point::max());
    co_await wake_.async_wait(kAsValue);
  }
  ready_ = false;
}

std::function<void()> Connection::waker() {
  return [weak = weak_from_this()] {
    const std::shared_ptr<Connection> self = weak.lock();
    if (!self || self->wake_posted_.exchange(true)) return;
    asio::post(self->socket_.get_executor(), [self] {
      self->wake_posted_ = false;
      self->ready_ = true;
      self->wake_.cancel();
    });
  };
}

/// Closing a socket with unread input resets it, and the client might never see our answer. So:
/// say that nothing more comes, then read to the end for a while.
asio::awaitable<void> Connection::linger() {
  error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  arm(kLingerNs, Expiry::kClose);
  std::string discarded(kWriteBytes, '\0');
  for (size_t total = 0; total < kLingerBytes;) {
    const auto [error, bytes] = co_await socket_.async_read_some(asio::buffer(discarded), kAsValue);
    if (error) break;
    total += bytes;
  }
}

}  // namespace touchstone::http
