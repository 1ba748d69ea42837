// What a connection sends: whole answers, answers under way, streams; and how it notices meanwhile
// that the client has gone.
#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <exception>

#include "http/connection.h"
#include "http/date.h"

namespace touchstone::http {
namespace {

namespace asio = boost::asio;

constexpr int64_t kLingerNs = 2 * kNsPerSecond;
constexpr size_t kLingerBytes = 64 << 20;
// What a connection sends is of its own memory up to this: who waited for a small answer gets it
// whatever others hold.
constexpr int64_t kUnchargedAnswerBytes = 32'768;
// An answer of a request that holds no more is made by the I/O thread itself.
constexpr int64_t kMadeInPlaceBytes = 262'144;

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
  observer_.on_response_start(exchange_);
  if (head_only) co_return co_await write(text);
  if (response.body.size() > kTransferBytes) {  // one copy is enough while a slow client takes it
    co_return co_await write(text) && co_await write(response.body);
  }
  text += response.body;
  response.body = std::string();
  co_return co_await write(text);
}

asio::awaitable<bool> Connection::send_pending(HttpRequest& request,
                                               std::unique_ptr<PendingReply> pending) {
  client_gone_ = false;
  ready_ = false;
  pending->set_wake(waker());
  stop_watching_ = false;
  watching_ = true;
  asio::co_spawn(stream_.get_executor(), watch(),
                 [self = shared_from_this()](const std::exception_ptr&) {
                   self->watching_ = false;
                   self->wake_.cancel();
                 });
  bool sent = false;
  while (!pending->is_decided() && !client_gone_) co_await wait_for_wake();
  if (!pending->is_decided()) {
    client_gone_ = true;  // before there was anything to say
  } else if (pending->streams()) {
    sent = co_await send_stream(*pending);
  } else {
    pending->take();
    while (!pending->finished() && !client_gone_) {
      co_await wait_for_wake();
      pending->take();
    }
    if (pending->finished()) {
      HttpResponse response = co_await finished_response(request, *pending);
      sent = co_await send_response(std::move(response), false);
    }
  }
  pending.reset();  // aborts when unfinished
  co_await stop_watching();
  co_return sent && !client_gone_;
}

/// Charged before it is made. A large one is made by a worker: other connections wait for this
/// thread.
asio::awaitable<HttpResponse> Connection::finished_response(HttpRequest& request,
                                                            PendingReply& pending) {
  const int64_t bytes = pending.response_bytes();
  if (bytes > kUnchargedAnswerBytes && !request.memory.grow(bytes)) co_return over_budget();
  if (request.memory.bytes() <= kMadeInPlaceBytes) co_return pending.response();
  co_return co_await asio::co_spawn(
      workers_, [&pending]() -> asio::awaitable<HttpResponse> { co_return pending.response(); },
      asio::use_awaitable);
}

asio::awaitable<bool> Connection::send_stream(PendingReply& pending) {
  if (http_1_0_) keep_alive_ = false;  // no chunks there: the end of the body is the end of all
  const std::string_view framing = http_1_0_ ? "" : "transfer-encoding: chunked\r\n";
  const HttpResponse head = pending.response();
  exchange_.status = head.status;
  observer_.on_response_start(exchange_);
  if (!co_await write(head_of(head, framing))) co_return false;
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
    const std::string_view piece = text.substr(0, kTransferBytes);
    arm(options_.write_timeout_ns, Expiry::kClose);
    const auto [error, bytes] =
        co_await asio::async_write(stream_, asio::buffer(piece.data(), piece.size()), kAsValue);
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
    const auto [error, bytes] = co_await stream_.async_read_some(buffer_.prepare(4096), kAsValue);
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
  stream_.socket().cancel(ignored);
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
    asio::post(self->stream_.get_executor(), [self] {
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
  stream_.socket().shutdown(asio::socket_base::shutdown_send, ignored);
  arm(kLingerNs, Expiry::kClose);
  std::string discarded(kTransferBytes, '\0');
  for (size_t total = 0; total < kLingerBytes;) {
    const auto [error, bytes] =
        co_await stream_.socket().async_read_some(asio::buffer(discarded), kAsValue);
    if (error) break;
    total += bytes;
  }
}

}  // namespace touchstone::http
