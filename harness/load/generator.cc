#include "harness/load/generator.h"

#include <fcntl.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <memory>
#include <optional>

#include "base/files.h"
#include "base/random.h"
#include "harness/load/exchange.h"
#include "http/client.h"
#include "records/trace_context.h"

namespace touchstone::harness {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace beast_http = boost::beast::http;
using asio::ip::tcp;
using beast::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
/// Servers close idle connections after 5 s (uvicorn's default); one that idled for less cannot be
/// closed just as the next request is written.
constexpr int64_t kIdleMaxNs = 2 * kNsPerSecond;

constexpr int64_t kPerMillion = 1'000'000;

struct Connection {
  explicit Connection(asio::io_context& loop) : stream(loop) {}
  beast::tcp_stream stream;
  beast::flat_buffer buffer;
  bool keep_alive = false;
  int64_t idle_since_ns = 0;
};

TraceId draw_trace_id(RandomStream& stream) {
  TraceId id;
  for (size_t half = 0; half < 2; ++half) {
    const uint64_t bits = stream.next();
    for (size_t i = 0; i < 8; ++i) id.bytes[half * 8 + i] = static_cast<uint8_t>(bits >> (8 * i));
  }
  return id;
}

SpanId draw_span_id(RandomStream& stream) {
  SpanId id;
  const uint64_t bits = stream.next();
  for (size_t i = 0; i < 8; ++i) id.bytes[i] = static_cast<uint8_t>(bits >> (8 * i));
  return id;
}

class Generator final {
 public:
  Generator(const workload::Workload& workload, const LoadOptions& options, const Clock& clock,
            http::Url url, LineWriter& ledger)
      : workload_(workload),
        options_(options),
        clock_(clock),
        url_(std::move(url)),
        ledger_(ledger),
        slot_free_(loop_) {}

  Result<LoadOutcome> run() {
    RETURN_IF_ERROR(prepare());
    start_ns_ = clock_.monotonic_ns();
    outcome_.start_unix_ns = clock_.unix_ns();
    asio::co_spawn(loop_, dispatch(), asio::detached);
    asio::co_spawn(loop_, act(), asio::detached);
    asio::co_spawn(loop_, report_progress(), asio::detached);
    for (const Watch& watch : options_.watches) asio::co_spawn(loop_, look(watch), asio::detached);
    loop_.run();
    give_up_the_rest();
    outcome_.duration_ns = elapsed_ns();
    outcome_.actions_not_reached = static_cast<int64_t>(options_.actions.size()) - actions_done_;
    RETURN_IF_ERROR(ledger_.flush());
    if (stopped_) return std::move(*stopped_);
    return std::move(outcome_);
  }

 private:
  int64_t elapsed_ns() const { return clock_.monotonic_ns() - start_ns_; }
  int64_t total() const { return static_cast<int64_t>(workload_.requests.size()); }
  std::chrono::nanoseconds until(int64_t offset_ns) const {
    return std::chrono::nanoseconds(std::max<int64_t>(0, offset_ns - elapsed_ns()));
  }

  Status prepare() {
    tcp::resolver resolver(loop_);
    error_code error;
    const auto found = resolver.resolve(url_.host, url_.port, error);
    if (error) return io_error(options_.url + ": cannot resolve: " + error.message());
    for (const auto& entry : found) endpoints_.push_back(entry.endpoint());
    RandomStream traces(options_.seed, "load.trace_ids");
    RandomStream spans(options_.seed, "load.span_ids");
    RandomStream samples(options_.seed, "load.sampled");
    for (size_t i = 0; i < workload_.requests.size(); ++i) {
      auto entry = entry_for(workload_.requests[i], static_cast<int64_t>(i), options_.model);
      entry.trace_id = draw_trace_id(traces);
      entry.span_id = draw_span_id(spans);
      entry.sampled = samples.between(1, kPerMillion) <= options_.sampled_per_million;
      outcome_.entries.push_back(std::move(entry));
    }
    ended_.assign(workload_.requests.size(), false);
    return {};
  }

  /// Ends the load early: what is in flight is given up when the loop stops.
  void stop(Error error) {
    if (!stopped_) stopped_ = std::move(error);
    loop_.stop();
  }

  void finish_if_all_done() {
    if (done_ == total()) loop_.stop();
  }

  void record(size_t index) {
    ended_[index] = true;
    ++done_;
    Status written = ledger_.write(records::to_json_line(outcome_.entries[index]));
    if (written) written = ledger_.flush();
    if (!written) stop(std::move(written).error());
    finish_if_all_done();
  }

  void give_up_the_rest() {
    for (size_t i = 0; i < ended_.size(); ++i) {
      records::LedgerEntry& entry = outcome_.entries[i];
      if (ended_[i] || entry.sent_unix_ns == 0) continue;
      entry.outcome = records::ClientOutcome::kFailed;
      entry.error = "given up: the load was stopped";
      (void)ledger_.write(records::to_json_line(entry));
    }
  }

  asio::awaitable<void> dispatch() {
    if (total() == 0) loop_.stop();
    asio::steady_timer timer(loop_);
    for (size_t i = 0; i < workload_.requests.size(); ++i) {
      timer.expires_after(until(workload_.requests[i].arrival_ns));
      co_await timer.async_wait(kAwait);
      while (active_ >= options_.connections_max) {
        slot_free_.expires_at(asio::steady_timer::time_point::max());
        co_await slot_free_.async_wait(kAwait);
      }
      ++active_;
      ++sent_;
      asio::co_spawn(loop_, send(i), asio::detached);
    }
  }

  asio::awaitable<void> act() {
    asio::steady_timer timer(loop_);
    for (const TimedAction& action : options_.actions) {
      timer.expires_after(until(action.at_ns));
      co_await timer.async_wait(kAwait);
      action.run();
      ++actions_done_;
    }
  }

  asio::awaitable<void> report_progress() {
    asio::steady_timer timer(loop_);
    while (options_.on_progress) {
      options_.on_progress({sent_, done_, total(), elapsed_ns()});
      timer.expires_after(std::chrono::seconds(1));
      co_await timer.async_wait(kAwait);
    }
  }

  asio::awaitable<void> look(const Watch& watch) {
    // A copy, because Asio closes its own.
    const int copy = ::fcntl(watch.descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) co_return;
    asio::posix::stream_descriptor descriptor(loop_, copy);
    co_await descriptor.async_wait(asio::posix::stream_descriptor::wait_read, kAwait);
    Status status = watch.readable();
    if (!status) stop(std::move(status).error());
  }

  /// An idle connection that is still open, or nothing.
  std::unique_ptr<Connection> reuse() {
    while (!idle_.empty()) {
      auto connection = std::move(idle_.back());
      idle_.pop_back();
      if (clock_.monotonic_ns() - connection->idle_since_ns > kIdleMaxNs) continue;
      error_code error;
      tcp::socket& socket = connection->stream.socket();
      socket.non_blocking(true, error);
      char byte;
      socket.receive(asio::buffer(&byte, 1), tcp::socket::message_peek, error);
      if (error == asio::error::would_block) return connection;  // open, and nothing unasked for
    }
    return nullptr;
  }

  beast_http::request<beast_http::string_body> message_for(size_t index) {
    const workload::Request& request = workload_.requests[index];
    records::LedgerEntry& entry = outcome_.entries[index];
    beast_http::request<beast_http::string_body> message(beast_http::verb::post,
                                                         url_.path + entry.endpoint, 11);
    message.set(beast_http::field::host, url_.authority());
    message.set(beast_http::field::user_agent, "touchstone-load");
    message.set(beast_http::field::accept,
                request.stream ? "text/event-stream" : "application/json");
    message.set(beast_http::field::content_type, "application/json");
    message.set("traceparent",
                records::format_traceparent(entry.trace_id, entry.span_id, entry.sampled ? 1 : 0));
    RequestBody body = request_body(request, options_.model, options_.vocab_size);
    entry.parameters = std::move(body.parameters);
    message.body() = std::move(body.text);
    message.prepare_payload();
    return message;
  }

  asio::awaitable<void> send(size_t index) {
    const workload::Request& request = workload_.requests[index];
    records::LedgerEntry& entry = outcome_.entries[index];
    const bool keep_text = options_.samples.contains(request.name);
    ResponseReader reader(entry, request.hang_up_after_chunks.value_or(-1), keep_text);
    const int64_t sent_ns = clock_.monotonic_ns();
    entry.sent_unix_ns = clock_.unix_ns();
    std::unique_ptr<Connection> connection = reuse();
    const bool fresh = connection == nullptr;
    if (fresh) connection = std::make_unique<Connection>(loop_);
    connection->stream.expires_after(std::chrono::nanoseconds(options_.timeout_ns));
    const std::string problem =
        co_await exchange(*connection, fresh, message_for(index), reader, sent_ns);
    if (!problem.empty()) reader.on_failure(problem, clock_.monotonic_ns() - sent_ns);
    const bool clean = entry.outcome == records::ClientOutcome::kCompleted ||
                       entry.outcome == records::ClientOutcome::kRefused;
    if (clean && connection->keep_alive) {
      connection->stream.expires_never();
      connection->idle_since_ns = clock_.monotonic_ns();
      idle_.push_back(std::move(connection));
    } else {
      connection->stream.close();
    }
    --active_;
    slot_free_.cancel();
    record(index);
  }

  /// One request and its response; what went wrong on the way, or "" (also after a hang-up).
  asio::awaitable<std::string> exchange(Connection& connection, bool fresh,
                                        beast_http::request<beast_http::string_body> message,
                                        ResponseReader& reader, int64_t sent_ns) {
    connection.keep_alive = false;
    if (fresh) {
      const auto [error, endpoint] = co_await connection.stream.async_connect(endpoints_, kAwait);
      if (error) co_return "connect: " + error.message();
      error_code ignored;
      connection.stream.socket().set_option(tcp::no_delay(true), ignored);
    }
    if (const auto [error, size] =
            co_await beast_http::async_write(connection.stream, message, kAwait);
        error) {
      co_return "send: " + error.message();
    }
    beast_http::response_parser<beast_http::string_body> parser;
    parser.body_limit(boost::none);
    if (const auto [error, size] = co_await beast_http::async_read_header(
            connection.stream, connection.buffer, parser, kAwait);
        error) {
      co_return "no response: " + error.message();
    }
    const std::string_view type = parser.get()[beast_http::field::content_type];
    reader.on_status(parser.get().result_int(), type.substr(0, 17) == "text/event-stream",
                     parser.get()["x-request-id"]);
    while (!parser.is_done()) {
      const auto [error, size] = co_await beast_http::async_read_some(
          connection.stream, connection.buffer, parser, kAwait);
      std::string& body = parser.get().body();
      const bool go_on = reader.on_body(body, clock_.monotonic_ns() - sent_ns);
      body.clear();
      if (!go_on) co_return "";
      if (error) co_return "response broken off: " + error.message();
    }
    reader.on_end(clock_.monotonic_ns() - sent_ns);
    connection.keep_alive = parser.get().keep_alive();
    co_return "";
  }

  const workload::Workload& workload_;
  const LoadOptions& options_;
  const Clock& clock_;
  const http::Url url_;
  LineWriter& ledger_;
  std::vector<tcp::endpoint> endpoints_;
  LoadOutcome outcome_;
  std::vector<bool> ended_;
  int64_t start_ns_ = 0;
  int64_t active_ = 0;
  int64_t sent_ = 0;
  int64_t done_ = 0;
  int64_t actions_done_ = 0;
  std::optional<Error> stopped_;
  asio::io_context loop_{1};  // before what uses it, so that it outlives it
  asio::steady_timer slot_free_;
  std::vector<std::unique_ptr<Connection>> idle_;
};

}  // namespace

Result<LoadOutcome> run_load(const workload::Workload& workload, const LoadOptions& options,
                             const Clock& clock) {
  auto url = http::parse_url(options.url);
  if (!url) return std::move(url).error();
  auto ledger = LineWriter::open(options.ledger_path);
  if (!ledger) return std::move(ledger).error();
  auto generator = std::make_unique<Generator>(workload, options, clock, std::move(*url), **ledger);
  auto outcome = generator->run();
  if (!outcome) return outcome;
  std::string ordered;
  for (const records::LedgerEntry& entry : outcome->entries) {
    ordered += records::to_json_line(entry) + "\n";
  }
  RETURN_IF_ERROR(write_file_atomic(options.ledger_path, ordered));
  return outcome;
}

}  // namespace touchstone::harness
