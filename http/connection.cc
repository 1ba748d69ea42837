#include "http/connection.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <exception>

#include "base/text.h"
#include "http/listener.h"
#include "http/request_parser.h"

namespace touchstone::http {
namespace {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;

// What a connection's buffer takes without asking the budget.
constexpr size_t kUnchargedBufferBytes = 8192;
constexpr size_t kReadBytesMin = 4096;
// A small body that nobody wants is read and thrown away, so that the connection can go on.
constexpr uint64_t kSkipBytes = 65'536;
// The kernel's part of a connection: what a client that does not read can make us send.
constexpr int kSendBufferBytes = 65'536;
// How long the client's own end of TLS is waited for.
constexpr int64_t kCloseNotifyNs = kNsPerSecond;

HttpResponse plain_text(int status, std::string text) {
  return {.status = status,
          .content_type = "text/plain; charset=utf-8",
          .headers = {},
          .body = std::move(text)};
}

bool wants_continue(const HttpRequest& request) {
  return starts_with_ignoring_case(request.header("expect").value_or(""), "100-continue");
}

bool is_from_http(const boost::system::error_code& error) {
  return error.category() == beast_http::make_error_code(beast_http::error::bad_method).category();
}

}  // namespace

Connection::Connection(ServerStream stream, const ConnectionContext& context,
                       std::function<void()> on_end)
    : options_(context.options),
      clock_(context.clock),
      handler_(context.handler),
      observer_(context.observer),
      workers_(context.workers),
      budget_(context.budget),
      tls_(context.tls),
      on_end_(std::move(on_end)),
      stream_(std::move(stream)),
      buffer_(options_.max_header_bytes + kTransferBytes),
      buffer_memory_(context.budget),
      deadline_(stream_.get_executor()),
      wake_(stream_.get_executor()) {
  exchange_.client = peer_address(stream_.socket());
}

Connection::~Connection() { on_end_(); }

void Connection::drain() {
  asio::post(stream_.get_executor(), [self = shared_from_this()] {
    self->draining_ = true;
    error_code ignored;
    if (self->incomplete_) self->stream_.socket().close(ignored);
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
      self->stream_.socket().close(ignored);
    } else {
      self->stream_.socket().shutdown(asio::socket_base::shutdown_receive, ignored);
    }
  });
}

void Connection::disarm() {
  ++deadline_number_;
  deadline_.cancel();
}

asio::awaitable<void> Connection::run() {
  const auto self = shared_from_this();  // the coroutine keeps its connection
  try {
    for (bool open = co_await begin(); open;) {
      open = buffer_.size() > 0 || co_await wait_for_request();
      if (open) open = co_await serve_one();
    }
    co_await end();
  } catch (const std::exception& problem) {
    // A library threw, for lack of memory say: this connection ends, the server goes on.
    observer_.on_problem(exchange_, problem.what());
  }
  disarm();
  error_code ignored;
  stream_.socket().shutdown(asio::socket_base::shutdown_both, ignored);
  stream_.socket().close(ignored);
}

/// Sets the socket up and shakes hands where there is TLS; false when nothing comes of it.
asio::awaitable<bool> Connection::begin() {
  error_code ignored;
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);  // a Unix socket has none
  stream_.socket().set_option(asio::socket_base::send_buffer_size(kSendBufferBytes), ignored);
  if (!stream_.is_secure()) co_return true;
  if (!tls_->enter()) {
    observer_.on_problem(exchange_, "too many TLS handshakes at a time");
    co_return false;
  }
  const ServerTls::Leave leave{*tls_};
  incomplete_ = true;
  arm(options_.handshake_timeout_ns, Expiry::kClose);
  const auto [error] = co_await stream_.async_handshake(kAsValue);
  disarm();
  incomplete_ = false;
  if (error) {
    observer_.on_problem(
        exchange_, "TLS handshake: " + (timed_out_ ? std::string("timed out") : error.message()));
  }
  co_return !error;
}

/// So that the client sees its answer whole, and under TLS that nobody cut it short.
asio::awaitable<void> Connection::end() {
  if (stream_.is_secure() && stream_.socket().is_open() && !client_gone_) {
    arm(kCloseNotifyNs, Expiry::kClose);
    co_await stream_.async_shutdown(kAsValue);
    disarm();
  }
  if (linger_) co_await linger();
}

asio::awaitable<void> Connection::turn_away() {
  const auto self = shared_from_this();
  if (stream_.is_secure()) co_return;  // a handshake is the work that it is turned away for
  try {
    const std::string why = "too many connections: " + std::to_string(options_.max_connections) +
                            " are open, the most that this server takes";
    co_await refuse(options_.error_reply(503, "ServiceUnavailableError", why), why);
    co_await linger();
  } catch (const std::exception& problem) {
    observer_.on_problem(exchange_, problem.what());
  }
  disarm();
}

/// Waits without a buffer, so that an idle connection costs little (under TLS it has its own).
asio::awaitable<bool> Connection::wait_for_request() {
  if (draining_) co_return false;
  buffer_.shrink_to_fit();
  buffer_memory_.resize(0);
  incomplete_ = true;
  arm(options_.idle_timeout_ns, Expiry::kClose);
  error_code error;
  if (stream_.is_secure()) {  // what has arrived may hold no byte of a request, or lie decrypted
    const auto [problem, bytes] =
        co_await stream_.async_read_some(buffer_.prepare(kReadBytesMin), kAsValue);
    buffer_.commit(bytes);
    error = problem;
  } else {
    std::tie(error) = co_await stream_.socket().async_wait(asio::socket_base::wait_read, kAsValue);
  }
  disarm();
  incomplete_ = false;
  co_return !error && stream_.socket().is_open();
}

/// Reads until the header, or the body, is complete, or until there is an error.
asio::awaitable<Connection::error_code> Connection::parse(RequestParser& parser, Part part) {
  size_t wanted = kReadBytesMin;
  parser.eager(part == Part::kBody);
  for (;;) {
    error_code error;
    for (size_t used = 1; buffer_.size() > 0 && used > 0 && !error;) {
      used = parser.put(buffer_.data(), error);
      buffer_.consume(used);
      if (error && error != beast_http::error::need_more) co_return error;
      if (part == Part::kHeader ? parser.is_header_done() : parser.is_done()) {
        co_return error_code{};
      }
    }
    if (part == Part::kBody && parser.chunked() && !RequestParser::may_be_chunk(input())) {
      co_return beast_http::error::bad_chunk;
    }
    const size_t room = buffer_.max_size() - buffer_.size();
    wanted = std::min(wanted, room);
    if (wanted == 0) co_return beast_http::error::buffer_overflow;
    const size_t held = std::max(buffer_.capacity(), buffer_.size() + wanted);
    if (held > kUnchargedBufferBytes && !buffer_memory_.resize(static_cast<int64_t>(held))) {
      co_return asio::error::no_memory;
    }
    const auto [problem, bytes] =
        co_await stream_.async_read_some(buffer_.prepare(wanted), kAsValue);
    buffer_.commit(bytes);
    if (problem) co_return problem;
    // Who sends much is read in large pieces.
    wanted = bytes == wanted ? std::min(2 * wanted, kTransferBytes) : kReadBytesMin;
  }
}

std::string_view Connection::input() const {
  return {static_cast<const char*>(buffer_.cdata().data()), buffer_.size()};
}

/// Reads, handles and answers one request; false when the connection is to end.
asio::awaitable<bool> Connection::serve_one() {
  RequestParser parser(options_, budget_);
  exchange_ = {.client = std::move(exchange_.client), .route = {}, .method = {}, .target = {}};
  incomplete_ = true;
  if (draining_) co_return false;
  arm(options_.read_timeout_ns, Expiry::kStopReading);
  const error_code error = co_await parse(parser, Part::kHeader);
  disarm();
  if (error) {
    co_await refuse_bytes(parser, error);
    co_return false;
  }
  HttpRequest& request = parser.request();
  http_1_0_ = exchange_.http_1_0 = parser.http_1_0();
  keep_alive_ = parser.keep_alive();
  exchange_.method = request.method;
  exchange_.target = request.target;
  request.arrival_unix_ns = clock_.unix_ns();
  request.arrival_ns = clock_.monotonic_ns();
  Admission admission = handler_.admit(request);
  if (admission.refusal) {
    incomplete_ = false;
    const bool ends = !parser.is_done() && (wants_continue(request) || parser.chunked() ||
                                            *parser.content_length() > kSkipBytes);
    if (ends) {
      keep_alive_ = false;
      linger_ = true;
    }
    const bool open = co_await answer(request, std::move(*admission.refusal));
    if (!open || parser.is_done()) co_return open;
    co_return co_await skip_body(parser);
  }
  if (!parser.is_done()) {
    const bool complete = co_await read_body(parser);
    if (!complete) co_return false;
  }
  incomplete_ = false;
  exchange_.request_bytes = static_cast<int64_t>(request.body.size());
  request.arrival_unix_ns = clock_.unix_ns();
  request.arrival_ns = clock_.monotonic_ns();
  Reply reply = co_await handle(request, admission.place);
  co_return co_await answer(request, std::move(reply));
}

/// False when there is no body to be had; what was wrong has been answered.
asio::awaitable<bool> Connection::read_body(RequestParser& parser) {
  if (wants_continue(parser.request())) {
    if (!co_await write("HTTP/1.1 100 Continue\r\n\r\n")) co_return false;
  }
  arm(options_.read_timeout_ns, Expiry::kStopReading);
  const error_code error = co_await parse(parser, Part::kBody);
  disarm();
  if (!error) co_return true;
  co_await refuse_bytes(parser, error);
  co_return false;
}

asio::awaitable<bool> Connection::skip_body(RequestParser& parser) {
  parser.discard_body();
  incomplete_ = true;
  arm(options_.read_timeout_ns, Expiry::kClose);
  const error_code error = co_await parse(parser, Part::kBody);
  disarm();
  incomplete_ = false;
  co_return !error;
}

/// Answers bytes that are no request, or one that this server does not take.
asio::awaitable<void> Connection::refuse_bytes(RequestParser& parser, error_code error) {
  incomplete_ = false;
  if (timed_out_) {
    co_await refuse(plain_text(408, "The request did not arrive in time."), "request timed out");
  } else if (error == beast_http::error::header_limit ||
             error == beast_http::error::buffer_overflow) {
    co_await refuse(plain_text(431, "The request's headers are too large."), "headers too large");
  } else if (error == beast_http::error::body_limit) {
    co_await refuse(options_.error_reply(413, "Content Too Large",
                                         "request body: got more than " +
                                             std::to_string(options_.max_body_bytes) +
                                             " bytes, the most that this server takes"),
                    "body too large");
  } else if (parser.over_budget() || error == asio::error::no_memory) {
    co_await refuse(over_budget(), "request memory used up");
  } else if (is_from_http(error)) {
    co_await refuse(plain_text(400, "Invalid HTTP request received."), error.message());
  }  // otherwise the client has gone
}

asio::awaitable<void> Connection::refuse(HttpResponse response, const std::string& why) {
  keep_alive_ = false;
  linger_ = true;
  exchange_.status = response.status;
  observer_.on_problem(exchange_, why);
  co_await send_response(std::move(response), false);
}

HttpResponse Connection::over_budget() const {
  return options_.error_reply(503, "ServiceUnavailableError",
                              "the requests under way hold all of the " +
                                  std::to_string(budget_.limit_bytes()) +
                                  " bytes that this server has for them; try again later");
}

/// The handler's reply, made here or on a worker.
asio::awaitable<Reply> Connection::handle(HttpRequest& request, Admission::Place place) {
  const auto made = [this, &request]() -> Reply {
    try {
      return handler_.handle(request);
    } catch (const std::exception& problem) {
      // A library threw, for lack of memory say: this request fails, the server goes on.
      return {.response = options_.error_reply(500, "InternalServerError", problem.what()),
              .pending = nullptr,
              .route = {}};
    }
  };
  if (place == Admission::Place::kIoThread) co_return made();
  // The worker's part touches the request and the handler only.
  co_return co_await asio::co_spawn(
      workers_, [&made]() -> asio::awaitable<Reply> { co_return made(); }, asio::use_awaitable);
}

/// Sends the reply; true when the connection goes on. What the request holds of the budget is held
/// until then.
asio::awaitable<bool> Connection::answer(HttpRequest& request, Reply reply) {
  exchange_.route = std::move(reply.route);
  const bool head_only = request.method == "HEAD";
  request.body = std::string();
  request.headers = {};
  if (draining_) keep_alive_ = false;
  if (!reply.pending && !request.memory.resize(static_cast<int64_t>(reply.response.body.size()))) {
    reply.response = over_budget();
  }
  bool sent = false;
  if (reply.pending) {
    sent = co_await send_pending(request, std::move(reply.pending));
  } else {
    sent = co_await send_response(std::move(reply.response), head_only);
  }
  if (sent) {
    exchange_.duration_ns = clock_.monotonic_ns() - request.arrival_ns;
    observer_.on_response_end(exchange_);
  } else if (timed_out_) {
    observer_.on_problem(exchange_, "the client did not read its answer in time");
  }
  co_return sent&& keep_alive_;
}

}  // namespace touchstone::http
