#include "harness/tap/relay.h"

#include <boost/asio/write.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/random_ids.h"
#include "base/text.h"
#include "harness/tap/sent_body.h"
#include "http/asio_names.h"
#include "records/trace_context.h"

namespace touchstone::harness {
namespace {

constexpr uint32_t kHeaderMax = 1U << 20;
constexpr size_t kPiece = 65'536;
constexpr int64_t kIdleNs = 75 * kNsPerSecond;    // longer than clients keep theirs
constexpr int64_t kClientNs = 60 * kNsPerSecond;  // one piece from or to the client
constexpr int64_t kConnectNs = 5 * kNsPerSecond;
constexpr int kBadRequest = 400, kBadGateway = 502;

/// What concerns one connection alone (RFC 9110, section 7.6.1). Framing is the parser's.
template <typename Fields>
void drop_hop_by_hop(Fields& fields) {
  const std::string named(fields[beast_http::field::connection]);
  for (const std::string& name : split(named, ',')) {
    if (const auto word = trim(name); !word.empty()) fields.erase(std::string(word));
  }
  for (const auto field :
       {beast_http::field::connection, beast_http::field::keep_alive,
        beast_http::field::proxy_connection, beast_http::field::te, beast_http::field::upgrade}) {
    fields.erase(field);
  }
}

/// Gives a message's serializer the next `size` bytes at `data`, none meaning that only the end
/// may be left.
template <typename Body>
void give(Body& body, char* data, size_t size, bool more) {
  body.data = size > 0 ? data : nullptr;
  body.size = size;
  body.more = more;
}

bool failed(const error_code& error) { return error && error != beast_http::error::need_buffer; }

std::string path_of_target(std::string_view target) {
  return std::string(target.substr(0, target.find('?')));
}

}  // namespace

Relay::Relay(tcp::socket socket, TapShared& shared) : shared_(shared), client_(std::move(socket)) {
  error_code ignored;
  client_.socket().set_option(tcp::no_delay(true), ignored);
}

void Relay::expect_client_within(int64_t timeout_ns) {
  client_.expires_after(std::chrono::nanoseconds(timeout_ns));
}

void Relay::close() {
  if (watched_) watched_->entry.error = "the tap was stopped";
  client_.close();
  if (upstream_) upstream_->close();
}

asio::awaitable<void> Relay::run() {
  for (;;) {
    RequestParser request;
    request.header_limit(kHeaderMax);
    request.body_limit(boost::none);
    expect_client_within(kIdleNs);
    const auto [error, size] =
        co_await beast_http::async_read_header(client_, buffer_, request, kAwait);
    if (error) {
      const bool is_bad = error.category() == error_code(beast_http::error::bad_method).category();
      if (is_bad && error != beast_http::error::end_of_stream &&
          error != beast_http::error::partial_message) {
        co_await refuse(kBadRequest, error.message());
      }
      break;
    }
    idle_ = false;
    const bool goes_on = co_await exchange(request);
    idle_ = true;
    if (!goes_on || shared_.draining) break;
  }
  client_.close();
  if (upstream_) upstream_->close();
}

asio::awaitable<bool> Relay::exchange(RequestParser& request) {
  ++shared_.counters.exchanges;
  hung_up_ = answer_begun_ = upstream_keeps_ = false;
  auto& head = request.get();
  bool client_keeps = head.keep_alive();
  const bool head_only = head.method() == beast_http::verb::head;
  const int client_version = static_cast<int>(head.version());
  const bool waits = beast::iequals(head[beast_http::field::expect], "100-continue");
  prepare(head);
  const bool owes_span =
      head.method() == beast_http::verb::post && is_generation(path_of_target(head.target()));
  watched_ = owes_span ? watch(head) : nullptr;
  if (waits) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await asio::async_write(client_, asio::buffer(kContinue), kAwait);
  }
  std::string problem = co_await send_request(request);
  // A server may refuse before it has read everything: its answer counts.
  if (!hung_up_ && upstream_ && upstream_->connected()) {
    watch_for_hang_up();
    const std::string trouble = co_await return_response(head_only, client_version, client_keeps);
    error_code ignored;
    client_.socket().cancel(ignored);
    if (!trouble.empty()) problem = trouble;
    if (trouble.empty() && !request.is_done()) client_keeps = false;
    if (trouble.empty()) problem.clear();
  }
  if (!problem.empty() && !hung_up_) {
    ++shared_.counters.upstream_failures;
    if (watched_ && !answer_begun_) watched_->entry.status = kBadGateway;
    if (!answer_begun_) co_await refuse(kBadGateway, problem);
  }
  finish(problem);
  if (problem.empty() && upstream_keeps_ && request.is_done()) {
    upstream_->set_idle(shared_.clock.monotonic_ns());
  } else if (upstream_) {
    upstream_->close();
  }
  co_return problem.empty() && client_keeps;
}

void Relay::prepare(beast_http::request<beast_http::buffer_body>& head) {
  drop_hop_by_hop(head);
  head.erase(beast_http::field::expect);
  head.version(11);
  head.set(beast_http::field::host, shared_.upstream.authority());
  if (!shared_.upstream.path.empty()) {
    head.target(shared_.upstream.path + std::string(head.target()));
  }
}

std::unique_ptr<Relay::Watched> Relay::watch(beast_http::request<beast_http::buffer_body>& head) {
  auto watched = std::make_unique<Watched>(shared_.bodies);
  records::LedgerEntry& entry = watched->entry;
  const auto context = records::parse_trace_context(head["traceparent"], head["tracestate"]);
  if (context) {
    entry.trace_id = context->trace_id;
    entry.span_id = context->parent_span_id;
    entry.sampled = context->sampled();
  } else {
    entry.trace_id = draw_id<TraceId>(shared_.ids);
    entry.span_id = draw_id<SpanId>(shared_.ids);
    head.set("traceparent", records::format_traceparent(entry.trace_id, entry.span_id, 1));
    head.erase("tracestate");
  }
  entry.endpoint = path_of_target(head.target()).substr(shared_.upstream.path.size());
  entry.sent_unix_ns = shared_.clock.unix_ns();
  watched->sent_ns = shared_.clock.monotonic_ns();
  entry.intended_ns = watched->sent_ns - shared_.start_ns;
  return watched;
}

asio::awaitable<std::string> Relay::send_request(RequestParser& request) {
  if (!upstream_ || !upstream_->is_fresh(shared_.clock.monotonic_ns())) {
    upstream_ = std::make_unique<http::ClientStream>(shared_.loop, shared_.endpoint);
    upstream_->expires_after(kConnectNs);
    std::string problem = co_await upstream_->connect();
    if (!problem.empty()) co_return "upstream: " + problem;
  }
  upstream_->expires_never();
  co_return co_await upstream_->with_stream(
      [&](auto& upstream) { return forward_request(upstream, request); });
}

template <typename Stream>
asio::awaitable<std::string> Relay::forward_request(Stream& upstream, RequestParser& request) {
  auto& body = request.get().body();
  beast_http::request_serializer<beast_http::buffer_body> serializer(request.get());
  serializer.split(true);
  give(body, nullptr, 0, !request.is_done());
  {
    const auto [error, size] =
        co_await beast_http::async_write_header(upstream, serializer, kAwait);
    if (failed(error)) co_return "upstream: send: " + error.message();
  }
  std::vector<char> piece(request.is_done() ? 0 : kPiece);
  while (!serializer.is_done()) {
    size_t got = 0;
    if (!request.is_done()) {
      give(body, piece.data(), piece.size(), true);
      expect_client_within(kClientNs);
      const auto [error, size] =
          co_await beast_http::async_read_some(client_, buffer_, request, kAwait);
      if (failed(error)) {
        hung_up_ = true;
        co_return "client: " + error.message();
      }
      got = piece.size() - body.size;
      if (watched_ && watched_->body_kept) {
        watched_->body_kept = watched_->memory.grow(static_cast<int64_t>(got));
        shared_.counters.bodies_unread += watched_->body_kept ? 0 : 1;
        watched_->body_kept ? watched_->body.append(piece.data(), got) : watched_->body.assign("");
      }
      if (got == 0 && !request.is_done()) continue;
    }
    give(body, piece.data(), got, !request.is_done());
    const auto [error, size] = co_await beast_http::async_write(upstream, serializer, kAwait);
    if (failed(error)) co_return "upstream: send: " + error.message();
  }
  co_return "";
}

asio::awaitable<std::string> Relay::return_response(bool head_only, int client_version,
                                                    bool& client_keeps) {
  co_return co_await upstream_->with_stream([&](auto& upstream) {
    return forward_response(upstream, head_only, client_version, client_keeps);
  });
}

template <typename Stream>
asio::awaitable<std::string> Relay::forward_response(Stream& upstream, bool head_only,
                                                     int client_version, bool& client_keeps) {
  std::optional<ResponseParser> parser;
  do {  // interim answers are between the servers
    parser.emplace();
    parser->header_limit(kHeaderMax);
    parser->body_limit(boost::none);
    parser->skip(head_only);
    const auto [error, size] =
        co_await beast_http::async_read_header(upstream, upstream_->buffer(), *parser, kAwait);
    if (error) co_return "upstream: no response: " + error.message();
  } while (parser->get().result_int() < 200);
  auto& head = parser->get();
  upstream_keeps_ = head.keep_alive();
  drop_hop_by_hop(head);
  const bool framed = head.chunked() || head.has_content_length() || parser->is_done();
  if (client_version == 10) {  // knows no chunks: such a body ends with the connection
    client_keeps = client_keeps && framed && !head.chunked();
    head.chunked(false);
  } else if (!framed) {
    head.chunked(true);
  }
  client_keeps = client_keeps && !shared_.draining;
  head.version(11);
  head.keep_alive(client_keeps);
  if (watched_) {
    const std::string_view type = head[beast_http::field::content_type];
    watched_->reader.on_status(head.result_int(), type.starts_with("text/event-stream"),
                               head["x-request-id"]);
  }
  beast_http::response_serializer<beast_http::buffer_body> serializer(head);
  serializer.split(true);
  give(head.body(), nullptr, 0, !parser->is_done());
  expect_client_within(kClientNs);
  answer_begun_ = true;
  const auto [unsent, sent] = co_await beast_http::async_write_header(client_, serializer, kAwait);
  if (failed(unsent)) {
    hung_up_ = true;
    co_return "client: " + unsent.message();
  }
  std::vector<char> piece(parser->is_done() ? 0 : kPiece);
  while (!serializer.is_done() && !head_only) {
    size_t got = 0;
    if (!parser->is_done()) {
      give(head.body(), piece.data(), piece.size(), true);
      const auto [error, size] =
          co_await beast_http::async_read_some(upstream, upstream_->buffer(), *parser, kAwait);
      if (failed(error)) co_return "upstream: response broken off: " + error.message();
      got = piece.size() - head.body().size;
      if (got == 0 && !parser->is_done()) continue;
    }
    give(head.body(), piece.data(), got, !parser->is_done());
    const int64_t now_ns = shared_.clock.monotonic_ns();
    expect_client_within(kClientNs);
    const auto [error, size] = co_await beast_http::async_write(client_, serializer, kAwait);
    if (failed(error)) {
      hung_up_ = true;
      co_return "client: " + error.message();
    }
    if (watched_) watched_->reader.on_body({piece.data(), got}, now_ns - watched_->sent_ns);
  }
  co_return "";
}

asio::awaitable<void> Relay::refuse(int status, const std::string& why) {
  const std::string type = status == kBadGateway ? "BadGatewayError" : "BadRequestError";
  const nlohmann::json error = {
      {"message", "tap: " + why}, {"type", type}, {"param", nullptr}, {"code", status}};
  beast_http::response<beast_http::string_body> response(static_cast<beast_http::status>(status),
                                                         11);
  response.set(beast_http::field::content_type, "application/json");
  response.keep_alive(false);
  response.body() = nlohmann::json{{"error", error}}.dump(-1, ' ', false,
                                                          nlohmann::json::error_handler_t::replace);
  response.prepare_payload();
  expect_client_within(kClientNs);
  co_await beast_http::async_write(client_, response, kAwait);
}

void Relay::watch_for_hang_up() {
  client_.socket().async_wait(tcp::socket::wait_read, [self = shared_from_this()](Error error) {
    if (error) return;
    char byte;
    self->client_.socket().non_blocking(true, error);
    self->client_.socket().receive(asio::buffer(&byte, 1), tcp::socket::message_peek, error);
    if (!error || error == asio::error::would_block) return;  // the next request, early
    self->hung_up_ = true;
    if (self->upstream_) self->upstream_->close();
  });
}

void Relay::finish(const std::string& problem) {
  if (!watched_) return;
  const int64_t now_ns = shared_.clock.monotonic_ns() - watched_->sent_ns;
  records::LedgerEntry& entry = watched_->entry;
  if (hung_up_) {
    entry.outcome = records::ClientOutcome::kHungUp;
    entry.done_ns = now_ns;
  } else if (!problem.empty()) {
    watched_->reader.on_failure(entry.error.empty() ? problem : entry.error, now_ns);
  } else {
    watched_->reader.on_end(now_ns);
  }
  // Nobody knows what a live client expected; that it was told so is an answer.
  if (entry.outcome == records::ClientOutcome::kRefused && entry.status < 500) {
    entry.expect_status = entry.status;
  }
  shared_.ledger.submit({std::move(entry), std::move(watched_->body), std::move(watched_->memory)});
  watched_ = nullptr;
}

}  // namespace touchstone::harness
