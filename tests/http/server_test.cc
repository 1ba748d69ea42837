// The HTTP server with a handler of the test's own: what runs where, what is refused when, and how
// it ends.
#include "http/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "tests/support/http_client.h"

namespace touchstone::http {
namespace {

using testing::HttpAnswer;
using testing::HttpClient;
using testing::request_text;

/// A door that opens once.
class Gate final {
 public:
  void open() {
    const MutexLock lock(mutex_);
    open_ = true;
    changed_.notify_all();  // under the lock: who waits may end the gate's life
  }
  void wait() {
    const MutexLock lock(mutex_);
    changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return open_; });
  }

 private:
  Mutex mutex_;
  ConditionVariable changed_;
  bool open_ GUARDED_BY(mutex_) = false;
};

HttpResponse text(int status, std::string body) {
  return {.status = status, .content_type = "text/plain", .headers = {}, .body = std::move(body)};
}

/// An answer of a size that is there at once and made when the gate is open.
class Made final : public PendingReply {
 public:
  Made(size_t bytes, Gate& started, Gate& gate) : bytes_(bytes), started_(started), gate_(gate) {}
  void set_wake(std::function<void()>) override {}
  std::string take() override { return {}; }
  bool finished() const override { return true; }
  bool streams() const override { return false; }
  int64_t response_bytes() const override { return static_cast<int64_t>(bytes_); }
  HttpResponse response() override {
    started_.open();
    gate_.wait();
    return text(200, std::string(bytes_, 'm'));
  }

 private:
  const size_t bytes_;
  Gate& started_;
  Gate& gate_;
};

/// "/quick" answers at once, "/slow" on a worker once the gate is open, "/throw" throws there,
/// "/large" answers 100,000 bytes, "/refused" is refused before its body, "/made" makes its answer
/// of `made_bytes` once the gate is open.
class Routes final : public HttpHandler {
 public:
  Admission admit(const HttpRequest& head) override {
    if (head.path == "/refused") {
      return {.refusal = Reply{.response = text(401, "no"), .pending = nullptr, .route = {}}};
    }
    if (head.path == "/throw-early") throw std::runtime_error("early");
    const bool quick = head.path == "/quick";
    return {.refusal = std::nullopt,
            .place = quick ? Admission::Place::kIoThread : Admission::Place::kWorker};
  }
  Reply handle(HttpRequest& request) override {
    if (request.path == "/slow") {
      slow_started.open();
      gate.wait();
    }
    if (request.path == "/made") {
      return {.response = {},
              .pending = std::make_unique<Made>(made_bytes, slow_started, gate),
              .route = request.path};
    }
    if (request.path == "/throw") throw std::runtime_error("a library's");
    std::string body = request.path == "/large" ? std::string(100'000, 'x') : request.body;
    return {.response = text(200, std::move(body)), .pending = nullptr, .route = request.path};
  }
  Gate gate;
  Gate slow_started;
  size_t made_bytes = 1'000'000;
};

class KeepingObserver final : public HttpObserver {
 public:
  void on_response_start(const HttpExchange&) override {}
  void on_response_end(const HttpExchange& exchange) override {
    const MutexLock lock(mutex_);
    ended_.push_back(exchange);
  }
  void on_problem(const HttpExchange&, const std::string& why) override {
    const MutexLock lock(mutex_);
    problems_.push_back(why);
  }
  std::vector<HttpExchange> ended() {
    const MutexLock lock(mutex_);
    return ended_;
  }
  std::vector<std::string> problems() {
    const MutexLock lock(mutex_);
    return problems_;
  }

 private:
  Mutex mutex_;
  std::vector<HttpExchange> ended_ GUARDED_BY(mutex_);
  std::vector<std::string> problems_ GUARDED_BY(mutex_);
};

class Running final {
 public:
  explicit Running(HttpServerOptions options = {}) {
    options.host = "127.0.0.1";
    options.port = 0;
    options.threads = 1;
    options.workers = 1;
    server = std::make_unique<HttpServer>(options, clock, routes, observer);
    const Status status = server->listen();
    EXPECT_TRUE(status) << status.error().message;
    server->start();
  }
  ~Running() {
    routes.gate.open();
    server->stop();
  }
  HttpClient connect() const { return HttpClient(server->port(), 20); }

  RealClock clock;
  Routes routes;
  KeepingObserver observer;
  std::unique_ptr<HttpServer> server;
};

TEST(HttpServer, AWorkerThatIsBusyHoldsUpNoQuickRequest) {
  Running running;
  HttpClient slow = running.connect();
  ASSERT_TRUE(slow.send(request_text("POST", "/slow", "body")));
  running.routes.slow_started.wait();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(running.connect().exchange("GET", "/quick").status, 200);
  }
  running.routes.gate.open();
  EXPECT_EQ(slow.read_answer().body, "body");
}

TEST(HttpServer, ALargeAnswerThatIsBeingMadeHoldsUpNobody) {
  Running running;
  HttpClient large = running.connect();
  ASSERT_TRUE(large.send(request_text("GET", "/made", "")));
  running.routes.slow_started.wait();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(running.connect().exchange("GET", "/quick").status, 200);
  }
  running.routes.gate.open();
  EXPECT_EQ(large.read_answer().body, std::string(1'000'000, 'm'));
}

TEST(HttpServer, AnAnswerIsChargedBeforeItIsMadeAndASmallOneIsNot) {
  HttpServerOptions options;
  options.max_request_memory_bytes = 30'000;
  Running running(options);
  running.routes.gate.open();
  running.routes.made_bytes = 100'000;
  HttpClient client = running.connect();
  EXPECT_EQ(client.exchange("GET", "/made").status, 503);
  running.routes.made_bytes = 32'000;
  EXPECT_EQ(client.exchange("GET", "/made").body.size(), 32'000u);
}

TEST(HttpServer, ARefusalComesBeforeTheBodyAndEndsTheConnectionUnlessTheBodyIsSmall) {
  Running running;
  HttpClient large = running.connect();
  ASSERT_TRUE(large.send("POST /refused HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\n\r\n"));
  const HttpAnswer refused = large.read_answer();
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.header("connection"), "close");
  EXPECT_TRUE(large.at_end());

  HttpClient small = running.connect();
  EXPECT_EQ(small.exchange("POST", "/refused", "a small body").status, 401);
  EXPECT_EQ(small.exchange("POST", "/quick", "the next one").body, "the next one");
  EXPECT_EQ(small.exchange("GET", "/refused").status, 401);
  EXPECT_EQ(small.exchange("POST", "/quick", "still open").body, "still open");
}

TEST(HttpServer, WhatIsThrownFailsTheRequestOrTheConnectionAndNothingElse) {
  Running running;
  HttpClient client = running.connect();
  EXPECT_EQ(client.exchange("POST", "/throw", "x").status, 500);
  EXPECT_EQ(client.exchange("GET", "/quick").status, 200);
  EXPECT_EQ(running.connect().exchange("GET", "/throw-early").status, 0);
  EXPECT_EQ(running.connect().exchange("GET", "/quick").status, 200);
  EXPECT_EQ(running.observer.problems(), std::vector<std::string>{"early"});
}

TEST(HttpServer, FieldsOfEveryLengthUpToTheLimitAreTakenAndBeyondItRefused) {
  HttpServerOptions options;
  options.max_header_bytes = 200'000;
  Running running(options);
  for (const size_t length : {1UL, 255UL, 4096UL, 65'500UL, 65'533UL, 65'534UL, 65'535UL, 65'536UL,
                              65'537UL, 131'072UL, 190'000UL, 200'001UL, 500'000UL}) {
    const int expected = length < 200'000 ? 200 : 431;
    const std::string word(length, 'a');
    EXPECT_EQ(running.connect().exchange("GET", "/quick", "", {{"x", word}}).status, expected)
        << "value of " << length;
    EXPECT_EQ(running.connect().exchange("GET", "/quick", "", {{word, "x"}}).status, expected)
        << "name of " << length;
    HttpClient trailer = running.connect();
    trailer.send(
        "POST /quick HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n" +
        word + ": " + word.substr(0, 10) + "\r\n\r\n");
    EXPECT_EQ(trailer.read_answer().status, expected) << "trailer of " << length;
  }
  EXPECT_EQ(running.connect().exchange("GET", "/quick").status, 200);
}

TEST(HttpServer, WhereARequestEndsIsBeyondDoubtOrItIsRefusedAndTheConnectionEnds) {
  Running running;
  const std::string start = "POST /quick HTTP/1.1\r\n";
  // Read by one who believes in another framing, the body holds a second request.
  const std::string body = "\r\n0\r\n\r\nGET /quick HTTP/1.1\r\nhost: x\r\n\r\n";
  const std::string one_chunk = "\r\n2\r\nok\r\n0\r\n\r\n";
  for (const std::string& request : {
           start + "host: x\r\ntransfer-encoding: chunked, chunked\r\n" + body,
           start + "host: x\r\ntransfer-encoding: xchunked\r\n" + body,
           start + "host: x\r\ntransfer-encoding: gzip, chunked\r\n" + body,
           start + "host: x\r\ntransfer-encoding: identity\r\n" + body,
           start + "host: x\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n" + body,
           start + "host: x\r\ntransfer-encoding:\r\n" + body,
           start + "host: x\r\ntransfer-encoding: xchunked\r\ncontent-length: 5\r\n" + body,
           start + "host: x\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n" + body,
           start + "host: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n" + body,
           start + "host: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n" + body,
           "POST /quick HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n" + one_chunk,
           start + "host: x\r\ntransfer-encoding: chunked\r\n\r\n0x10\r\n",
           start + "host: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0x10\r\n",
           start + body,
           start + "host: x\r\nhost: y\r\n" + body,
       }) {
    HttpClient client = running.connect();
    ASSERT_TRUE(client.send(request));
    const HttpAnswer answer = client.read_answer();
    EXPECT_EQ(answer.status, 400) << request << answer.problem;
    EXPECT_EQ(answer.header("connection"), "close") << request;
    EXPECT_TRUE(client.at_end()) << request;
  }
  HttpClient good = running.connect();
  ASSERT_TRUE(good.send(start + "host: x\r\ntransfer-encoding: Chunked\r\n" + one_chunk));
  EXPECT_EQ(good.read_answer().body, "ok");
  HttpClient old = running.connect();
  ASSERT_TRUE(old.send("GET /quick HTTP/1.0\r\n\r\n"));
  EXPECT_EQ(old.read_answer().status, 200) << "Host came with HTTP/1.1";
}

TEST(HttpServer, ATargetInAbsoluteFormIsServedByItsPath) {
  Running running;
  const std::vector<std::pair<std::string, std::string>> targets = {
      {"http://example.org/quick", "/quick"},
      {"HTTPS://example.org:8000/quick?a=/b", "/quick"},
      {"http://example.org?a=/b", "/"},
      {"http://example.org", "/"}};
  for (const auto& [target, path] : targets) {
    HttpClient client = running.connect();
    ASSERT_EQ(client.exchange("GET", target, "", {{"connection", "close"}}).status, 200);
    ASSERT_TRUE(client.at_end());
    EXPECT_EQ(running.observer.ended().back().route, path) << target;
  }
}

TEST(HttpServer, ExtensionsOfChunksCountAsHeadersDo) {
  HttpServerOptions options;
  options.max_header_bytes = 10'000;
  Running running(options);
  const std::string start = "POST /quick HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
  const auto answer_to = [&](int chunks) {
    std::string request = start;
    for (int i = 0; i < chunks; ++i) request += "1;" + std::string(999, 'e') + "\r\nx\r\n";
    HttpClient client = running.connect();
    client.send(request + "0\r\n\r\n");
    return client.read_answer();
  };
  EXPECT_EQ(answer_to(9).body, std::string(9, 'x'));
  EXPECT_EQ(answer_to(11).status, 431);
}

TEST(HttpServer, RequestsBeyondTheByteBudgetGetA503AndTheBytesComeBack) {
  HttpServerOptions options;
  options.max_request_memory_bytes = 300'000;
  Running running(options);
  const std::string body(200'000, 'x');
  HttpClient first = running.connect();
  ASSERT_TRUE(first.send(request_text("POST", "/slow", body, {{"connection", "close"}})));
  running.routes.slow_started.wait();
  HttpClient second = running.connect();
  ASSERT_TRUE(second.send("POST /quick HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n" +
                          std::string(199'999, 'x')));
  EXPECT_EQ(second.read_answer().status, 503) << "before it is complete";
  EXPECT_EQ(running.connect().exchange("GET", "/quick").status, 200) << "small requests are taken";
  running.routes.gate.open();
  EXPECT_EQ(first.read_answer().body.size(), body.size());
  ASSERT_TRUE(first.at_end());
  EXPECT_EQ(running.connect().exchange("POST", "/quick", body).status, 200);
}

TEST(HttpServer, AnAnswerThatTheBudgetHasNoRoomForIsA503) {
  HttpServerOptions options;
  options.max_request_memory_bytes = 50'000;
  Running running(options);
  EXPECT_EQ(running.connect().exchange("GET", "/large").status, 503);
}

TEST(HttpServer, DrainingClosesWhatHasNoCompleteRequestAndAnswersWhatHas) {
  Running running;
  HttpClient idle = running.connect();
  ASSERT_EQ(idle.exchange("GET", "/quick").status, 200);
  HttpClient half_header = running.connect();
  ASSERT_TRUE(half_header.send("GET /quick HT"));
  HttpClient half_body = running.connect();
  ASSERT_TRUE(half_body.send("POST /quick HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf"));
  HttpClient slow = running.connect();
  ASSERT_TRUE(slow.send(request_text("POST", "/slow", "body")));
  running.routes.slow_started.wait();
  Gate drained;
  running.server->drain([&drained] { drained.open(); });
  EXPECT_TRUE(idle.at_end());
  EXPECT_TRUE(half_header.at_end());
  EXPECT_TRUE(half_body.at_end());
  running.routes.gate.open();
  const HttpAnswer answer = slow.read_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("connection"), "close");
  slow.close();
  drained.wait();
}

TEST(HttpServer, StoppingWithConnectionsAndQueuedWorkEnds) {
  std::vector<HttpClient> clients;
  {
    Running running;
    for (int i = 0; i < 5; ++i) {
      clients.push_back(running.connect());
      ASSERT_TRUE(clients.back().send(request_text("POST", "/slow", "body")));
    }
    running.routes.slow_started.wait();
  }
  for (HttpClient& client : clients) EXPECT_NE(client.read_answer().problem, "timeout");
}

TEST(HttpServer, TheObserverLearnsWhoAskedForWhatAndWhatBecameOfIt) {
  Running running;
  HttpClient client = running.connect();
  ASSERT_EQ(client.exchange("POST", "/quick?a=b", "four", {{"connection", "close"}}).status, 200);
  ASSERT_TRUE(client.at_end());
  const std::vector<HttpExchange> ended = running.observer.ended();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_TRUE(ended[0].client.starts_with("127.0.0.1:")) << ended[0].client;
  EXPECT_EQ(ended[0].target, "/quick?a=b");
  EXPECT_EQ(ended[0].route, "/quick");
  EXPECT_EQ(ended[0].method, "POST");
  EXPECT_EQ(ended[0].status, 200);
  EXPECT_EQ(ended[0].request_bytes, 4);
  EXPECT_EQ(ended[0].response_bytes, 4);
}

}  // namespace
}  // namespace touchstone::http
