// The HTTP server under TLS and on a Unix socket: who is let in, how connections end, and that
// nobody's handshake holds up anybody.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

#include "base/files.h"
#include "base/mutex.h"
#include "http/client.h"
#include "http/server.h"
#include "tests/support/http_client.h"
#include "tests/support/tls_client.h"

namespace touchstone::http {
namespace {

using testing::HttpClient;
using testing::make_certificate;
using testing::make_client_certificate;
using testing::request_text;
using testing::TestCertificate;
using testing::TlsClient;
using ClientCertificate = ServerTlsOptions::ClientCertificate;
using ::testing::HasSubstr;

/// A stream of ten pieces, each once the one before was taken.
class Pieces final : public PendingReply {
 public:
  void set_wake(std::function<void()>) override {}
  std::string take() override {
    ++taken_;
    return std::string(10'000, static_cast<char>('0' + taken_ % 10));
  }
  bool finished() const override { return taken_ == 10; }
  bool streams() const override { return true; }
  int64_t response_bytes() const override { return 0; }
  HttpResponse response() override {
    return {.status = 200, .content_type = "text/plain", .headers = {}, .body = {}};
  }

 private:
  int taken_ = 0;
};

/// Answers with the body; "/stream" in pieces.
class Echo final : public HttpHandler, public HttpObserver {
 public:
  Admission admit(const HttpRequest&) override { return {}; }
  Reply handle(HttpRequest& request) override {
    if (request.path == "/stream") {
      return {.response = {}, .pending = std::make_unique<Pieces>(), .route = request.path};
    }
    return {.response = {.status = 200,
                         .content_type = "text/plain",
                         .headers = {},
                         .body = request.body},
            .pending = nullptr,
            .route = request.path};
  }
  void on_response_start(const HttpExchange&) override {}
  void on_response_end(const HttpExchange& exchange) override {
    const MutexLock lock(mutex_);
    client_ = exchange.client;
  }
  void on_problem(const HttpExchange&, const std::string& why) override {
    const MutexLock lock(mutex_);
    problems_ += why + "\n";
  }
  std::string problems() {
    const MutexLock lock(mutex_);
    return problems_;
  }
  std::string client() {
    const MutexLock lock(mutex_);
    return client_;
  }

 private:
  Mutex mutex_;
  std::string problems_ GUARDED_BY(mutex_);
  std::string client_ GUARDED_BY(mutex_);
};

class ServerTlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto folder = TemporaryDirectory::make("tls");
    ASSERT_TRUE(folder);
    folder_ = std::make_unique<TemporaryDirectory>(*std::move(folder));
    write(own_, "server");
  }
  void TearDown() override {
    if (server_) server_->stop();
  }
  std::string path(const std::string& name) const { return folder_->path() + "/" + name; }
  void write(const TestCertificate& each, const std::string& name) const {
    ASSERT_TRUE(write_file_atomic(path(name + ".crt"), each.certificate));
    ASSERT_TRUE(write_file_atomic(path(name + ".key"), each.key));
  }
  ServerTlsOptions tls() const {
    ServerTlsOptions made;
    made.certificate_file = path("server.crt");
    made.key_file = path("server.key");
    return made;
  }
  HttpServerOptions options(const std::optional<ServerTlsOptions>& with) const {
    HttpServerOptions made;
    made.host = "127.0.0.1";
    made.port = 0;
    made.threads = 1;
    made.workers = 1;
    made.tls = with;
    return made;
  }
  /// What keeps it from listening, or "".
  std::string start(const HttpServerOptions& with) {
    server_ = std::make_unique<HttpServer>(with, clock_, echo_, echo_);
    const Status status = server_->listen();
    if (!status) return status.error().message;
    server_->start();
    return {};
  }
  TlsClient::Options trusting() const {
    TlsClient::Options made;
    made.ca_file = path("server.crt");
    return made;
  }
  std::string url(const std::string& rest) const {
    return "https://localhost:" + std::to_string(server_->port()) + rest;
  }
  static std::string asks(const std::string& body, const char* connection = "keep-alive") {
    return request_text("POST", "/", body, {{"connection", connection}});
  }

  RealClock clock_;
  const TestCertificate own_ = make_certificate();
  std::unique_ptr<TemporaryDirectory> folder_;
  Echo echo_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(ServerTlsTest, OneConnectionCarriesManyRequestsAndEndsWithItsOwnWord) {
  ASSERT_EQ(start(options(tls())), "");
  EXPECT_EQ(server_->address(), "https://127.0.0.1:" + std::to_string(server_->port()));
  TlsClient client(server_->port(), trusting());
  ASSERT_EQ(client.problem(), "");
  for (const char* body : {"one", "two"}) {
    ASSERT_TRUE(client.send(asks(body)));
    EXPECT_THAT(client.read_until(body), HasSubstr("HTTP/1.1 200"));
  }
  ASSERT_TRUE(client.send(asks("three") + asks("four", "close"))) << "pipelined";
  const std::string rest = client.read_to_end();
  EXPECT_THAT(rest, HasSubstr("three"));
  EXPECT_THAT(rest, HasSubstr("four"));
  EXPECT_TRUE(client.ended_well()) << client.problem();
}

TEST_F(ServerTlsTest, LargeBodiesAndStreamsPassWholeInBothVersions) {
  ASSERT_EQ(start(options(tls())), "");
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient::Options wanted = trusting();
    wanted.version_max = version;
    TlsClient client(server_->port(), wanted);
    ASSERT_EQ(client.problem(), "");
    const std::string body(300'000, 'b');
    ASSERT_TRUE(client.send(asks(body + "END")));
    EXPECT_GT(client.read_until("bEND").size(), body.size());
    ASSERT_TRUE(client.send(request_text("GET", "/stream", "", {{"connection", "close"}})));
    EXPECT_GT(client.read_to_end().size(), 100'000u);
    EXPECT_TRUE(client.ended_well());
  }
  const auto answer = http_get(url("/stream"), 10 * kNsPerSecond,
                               {.headers = {}, .tls = {.ca_file = path("server.crt")}});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->body.size(), 100'000u);
  EXPECT_FALSE(http_get(url("/stream"), 10 * kNsPerSecond)) << "nobody signed it";
}

TEST_F(ServerTlsTest, ClientsWithoutACertificateAreLetInOnlyWhereNoneIsDemanded) {
  const TestCertificate authority = make_certificate("authority");
  const TestCertificate known = make_client_certificate(authority, "known");
  const TestCertificate stranger = make_client_certificate(make_certificate("other"), "stranger");
  write(authority, "authority");
  const auto lets_in = [&](ClientCertificate wanted, const TestCertificate* shown) {
    ServerTlsOptions made = tls();
    made.ca_file = path("authority.crt");
    made.client_certificate = wanted;
    EXPECT_EQ(start(options(made)), "");
    TlsClient::Options by = trusting();
    by.shown = shown;
    TlsClient client(server_->port(), by);
    const bool answered = client.problem().empty() && client.send(asks("in", "close")) &&
                          client.read_to_end().find("200") != std::string::npos;
    server_->stop();
    return answered;
  };
  EXPECT_TRUE(lets_in(ClientCertificate::kRequired, &known));
  EXPECT_FALSE(lets_in(ClientCertificate::kRequired, &stranger));
  EXPECT_FALSE(lets_in(ClientCertificate::kRequired, nullptr));
  EXPECT_TRUE(lets_in(ClientCertificate::kOptional, nullptr));
  EXPECT_FALSE(lets_in(ClientCertificate::kOptional, &stranger));
  EXPECT_TRUE(lets_in(ClientCertificate::kNone, &stranger));
}

TEST_F(ServerTlsTest, HandshakesThatDoNotGoOnHoldUpNobodyAndEnd) {
  HttpServerOptions with = options(tls());
  with.handshake_timeout_ns = 300 * kNsPerMs;
  ASSERT_EQ(start(with), "");
  std::vector<HttpClient> silent;
  for (int i = 0; i < 50; ++i) silent.emplace_back(server_->port(), 20);
  ASSERT_TRUE(silent[0].send("\x16\x03\x01")) << "a handshake's first bytes, and no more";
  TlsClient client(server_->port(), trusting());
  ASSERT_EQ(client.problem(), "");
  ASSERT_TRUE(client.send(asks("meanwhile", "close")));
  EXPECT_THAT(client.read_to_end(), HasSubstr("meanwhile"));
  for (HttpClient& each : silent) EXPECT_TRUE(each.at_end());
  EXPECT_THAT(echo_.problems(), HasSubstr("TLS handshake: timed out"));
}

TEST_F(ServerTlsTest, WhatIsNoHandshakeEndsAndTheServerGoesOn) {
  ASSERT_EQ(start(options(tls())), "");
  for (const std::string text : {"GET / HTTP/1.1\r\nhost: x\r\n\r\n", "\x16\x03\x01\x02\x00garbage",
                                 "\x80\x2e\x01\x00\x02"}) {
    HttpClient plain(server_->port(), 20);
    ASSERT_TRUE(plain.send(text + std::string(600, '\0')));
    plain.read_to_end();  // an alert, or nothing
  }
  TlsClient client(server_->port(), trusting());
  EXPECT_EQ(client.problem(), "");
  TlsClient::Options old = trusting();
  old.version_max = TLS1_1_VERSION;
  EXPECT_NE(TlsClient(server_->port(), old).problem(), "") << "TLS 1.2 is the oldest";
}

TEST_F(ServerTlsTest, ANewCertificateIsShownOnceItsFilesAreThere) {
  ServerTlsOptions made = tls();
  made.refresh = true;
  ASSERT_EQ(start(options(made)), "");
  const auto shown = [&] { return TlsClient(server_->port(), {}).server_name(); };
  EXPECT_EQ(shown(), "localhost");
  write(make_certificate("renewed"), "server");
  // A file system's times may be coarse; these are surely others than before.
  const auto later = std::filesystem::file_time_type::clock::now() + std::chrono::seconds(5);
  std::filesystem::last_write_time(path("server.crt"), later);
  const int64_t end_ns = clock_.monotonic_ns() + 20 * kNsPerSecond;
  std::string name;
  while (name != "renewed" && clock_.monotonic_ns() < end_ns) name = shown();
  EXPECT_EQ(name, "renewed");
  ASSERT_TRUE(write_file_atomic(path("server.crt"), "no certificate"));
  while (echo_.problems().empty() && clock_.monotonic_ns() < end_ns) name = shown();
  EXPECT_THAT(echo_.problems(), HasSubstr("the former certificate goes on"));
  EXPECT_EQ(shown(), "renewed");
}

TEST_F(ServerTlsTest, FilesAndSettingsThatDoNotFitAreRefusedByName) {
  ServerTlsOptions absent = tls();
  absent.certificate_file = path("none.crt");
  EXPECT_THAT(start(options(absent)), HasSubstr("--ssl-certfile: " + path("none.crt")));
  ServerTlsOptions other = tls();
  write(make_certificate(), "other");
  other.key_file = path("other.key");
  EXPECT_THAT(start(options(other)), HasSubstr("--ssl-keyfile: " + path("other.key")));
  ServerTlsOptions nobody = tls();
  nobody.client_certificate = ClientCertificate::kRequired;
  EXPECT_THAT(start(options(nobody)), HasSubstr("without --ssl-ca-certs"));
  ServerTlsOptions ciphers = tls();
  ciphers.ciphers = "rot13";
  EXPECT_THAT(start(options(ciphers)), HasSubstr("--ssl-ciphers: got \"rot13\""));
  ServerTlsOptions apart = tls();
  apart.key_file.clear();
  EXPECT_THAT(start(options(apart)), HasSubstr("server.crt")) << "no key in that file";
  ASSERT_TRUE(write_file_atomic(path("server.crt"), own_.certificate + own_.key));
  EXPECT_EQ(start(options(apart)), "");
}

TEST_F(ServerTlsTest, AUnixSocketServesAndItsFileGoesWithTheServer) {
  HttpServerOptions with = options(std::nullopt);
  with.uds = path("socket");
  ASSERT_EQ(start(with), "");
  EXPECT_EQ(server_->address(), "unix:" + path("socket"));
  HttpClient client(path("socket"), 20);
  ASSERT_TRUE(client.connected());
  EXPECT_EQ(client.exchange("POST", "/", "by file").body, "by file");
  EXPECT_EQ(client.exchange("GET", "/stream").body.size(), 100'000u);
  EXPECT_EQ(echo_.client(), "unix");
  HttpServer second(with, clock_, echo_, echo_);
  EXPECT_THAT(second.listen().error().message, HasSubstr("cannot listen on unix:"));
  server_->stop();
  server_.reset();
  EXPECT_FALSE(std::filesystem::exists(path("socket")));
}

TEST_F(ServerTlsTest, ASocketThatADeadServerLeftIsTakenOverAndAFileIsNot) {
  HttpServerOptions with = options(std::nullopt);
  with.uds = path("socket");
  const pid_t child = fork();
  if (child == 0) {  // dies with its socket in place
    Echo echo;
    const RealClock clock;
    HttpServer server(with, clock, echo, echo);
    _exit(server.listen() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_TRUE(std::filesystem::exists(path("socket")));
  ASSERT_EQ(start(with), "");
  EXPECT_EQ(HttpClient(path("socket"), 20).exchange("POST", "/", "again").body, "again");
  with.uds = path("server.crt");
  HttpServer over_a_file(with, clock_, echo_, echo_);
  EXPECT_FALSE(over_a_file.listen());
  EXPECT_TRUE(std::filesystem::is_regular_file(path("server.crt")));
  with.uds = "/" + std::string(200, 'x');
  HttpServer too_long(with, clock_, echo_, echo_);
  EXPECT_THAT(too_long.listen().error().message, HasSubstr("--uds: got a path of 201 bytes"));
}

}  // namespace
}  // namespace touchstone::http
