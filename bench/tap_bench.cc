// What the tap adds to a request: a trivial server asked directly and through the tap, in turns
// over two connections that stay open, so that both see the same machine. Latencies of each are
// kept one by one: p99 and the ratio of the medians are counters. The ceiling is the direct answer.
#include <benchmark/benchmark.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "base/statistics.h"
#include "harness/tap/tap.h"
#include "http/asio_names.h"
#include "http/server.h"

namespace {

using namespace touchstone;  // NOLINT: a program of its own

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "bench_tap: %s\n", why.c_str());
  std::exit(3);
}

/// Answers at once with an answer of the API.
class TrivialServer final : private http::HttpHandler, private http::HttpObserver {
 public:
  explicit TrivialServer(const Clock& clock)
      : server_({.host = "127.0.0.1", .port = 0, .threads = 1, .workers = 1}, clock, *this, *this) {
    if (const Status listening = server_.listen(); !listening) give_up(listening.error().message);
    server_.start();
  }
  uint16_t port() const { return server_.port(); }

 private:
  http::Admission admit(const http::HttpRequest&) override { return {}; }
  http::Reply handle(http::HttpRequest&) override {
    http::Reply reply;
    reply.response.content_type = "application/json";
    reply.response.body =
        R"({"id":"cmpl-1","object":"text_completion","model":"m","choices":[{"index":0,"text":"x",)"
        R"("finish_reason":"length"}],"usage":{"prompt_tokens":8,"completion_tokens":1}})";
    return reply;
  }
  void on_response_start(const http::HttpExchange&) override {}
  void on_response_end(const http::HttpExchange&) override {}
  void on_problem(const http::HttpExchange&, const std::string&) override {}

  http::HttpServer server_;
};

class Client final {
 public:
  explicit Client(uint16_t port) : socket_(loop_) {
    error_code error;
    socket_.connect({asio::ip::address_v4::loopback(), port}, error);
    if (error) give_up(error.message());
    socket_.set_option(tcp::no_delay(true), error);
    request_.method(beast_http::verb::post);
    request_.target("/v1/completions");
    request_.set(beast_http::field::host, "x");
    request_.set(beast_http::field::content_type, "application/json");
    request_.body() = R"({"model":"m","max_tokens":1,"prompt":")" + std::string(2000, 'x') + "\"}";
    request_.prepare_payload();
  }
  void ask() {
    error_code error;
    beast_http::write(socket_, request_, error);
    beast_http::response<beast_http::string_body> answer;
    if (!error) beast_http::read(socket_, buffer_, answer, error);
    if (error || answer.result_int() != 200) give_up("no answer: " + error.message());
  }

 private:
  asio::io_context loop_;
  tcp::socket socket_;
  beast::flat_buffer buffer_;
  beast_http::request<beast_http::string_body> request_;
};

double timed_us(const Clock& clock, Client& client) {
  const int64_t start = clock.monotonic_ns();
  client.ask();
  return static_cast<double>(clock.monotonic_ns() - start) / 1e3;
}

void tap_beside_direct(benchmark::State& state) {
  const RealClock clock;
  const TrivialServer server(clock);
  const auto folder = TemporaryDirectory::make("bench-tap");
  if (!folder) give_up(folder.error().message);
  harness::TapOptions options;
  options.listen = "127.0.0.1:0";
  options.upstream = "http://127.0.0.1:" + std::to_string(server.port());
  options.ledger = folder->path() + "/requests.jsonl";
  const auto tap = harness::Tap::start(options, clock);
  if (!tap) give_up(tap.error().message);
  Client direct(server.port());
  Client tapped((*tap)->port());
  std::vector<double> direct_us;
  std::vector<double> tapped_us;
  for (auto unused : state) {
    (void)unused;
    direct_us.push_back(timed_us(clock, direct));
    tapped_us.push_back(timed_us(clock, tapped));
    state.SetIterationTime(tapped_us.back() / 1e6);
  }
  const double median = quantile(direct_us, 0.5);
  state.counters["direct_p50_us"] = median;
  state.counters["direct_p99_us"] = quantile(direct_us, 0.99);
  state.counters["tap_p50_us"] = quantile(tapped_us, 0.5);
  state.counters["tap_p99_us"] = quantile(tapped_us, 0.99);
  state.counters["ratio_p50"] = quantile(tapped_us, 0.5) / median;
  state.counters["added_p99_us"] = quantile(tapped_us, 0.99) - quantile(direct_us, 0.99);
  const auto counters = (*tap)->stop(kNsPerSecond);
  if (counters.lost > 0) give_up("ledger lines were lost");
}
BENCHMARK(tap_beside_direct)->UseManualTime()->Iterations(20'000)->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
