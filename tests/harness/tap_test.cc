// The tap between real clients and a real server: what passes, and what the ledger says of it.
#include "harness/tap/tap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <thread>

#include "base/files.h"
#include "base/text.h"
#include "harness/append_file.h"
#include "harness/process/ports.h"
#include "harness/tap/sent_body.h"
#include "records/ledger.h"
#include "records/trace_context.h"
#include "tests/harness/tiny_server.h"
#include "tests/support/http_client.h"

namespace touchstone::harness {
namespace {

using records::ClientOutcome;
using records::LedgerEntry;
using ::testing::HasSubstr;
using touchstone::testing::event_data;
using touchstone::testing::HttpAnswer;
using touchstone::testing::HttpClient;
using touchstone::testing::request_text;

constexpr int64_t kDrainNs = 10 * kNsPerSecond;
constexpr char kParent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

class TapTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::make("touchstone-tap-test");
    ASSERT_TRUE(made);
    folder_ = std::make_unique<TemporaryDirectory>(std::move(*made));
  }
  std::string ledger_path() const { return folder_->path() + "/requests.jsonl"; }
  TapOptions options(const std::string& upstream) const {
    TapOptions options;
    options.listen = "127.0.0.1:0";
    options.upstream = upstream;
    options.ledger = ledger_path();
    return options;
  }
  void start(const TapOptions& options) {
    auto tap = Tap::start(options, clock_);
    ASSERT_TRUE(tap) << tap.error().message;
    tap_ = std::move(*tap);
  }
  HttpClient client() const { return HttpClient(tap_->port(), 20); }
  static std::string body(const std::string& prompt, const std::string& more = "") {
    return R"({"model":"tiny","user":"ann","prompt":")" + prompt + "\"" + more + "}";
  }
  /// After everything was written.
  std::vector<LedgerEntry> ledger() {
    counters_ = tap_->stop(kDrainNs);
    auto read = records::read_ledger(ledger_path());
    EXPECT_TRUE(read) << read.error().message;
    return read ? *read : std::vector<LedgerEntry>();
  }

  RealClock clock_;
  std::unique_ptr<TemporaryDirectory> folder_;
  std::unique_ptr<Tap> tap_;
  TapCounters counters_;
};

TEST_F(TapTest, AnswersPassAndEachGenerationHasItsLine) {
  TinyServer server;
  start(options(server.url()));
  HttpClient through = client();
  HttpClient direct(server.port(), 20);
  for (const std::string prompt : {"whole", "stream", "refuse"}) {
    const std::string sent = body(prompt, R"(,"max_tokens":7,"n":2,"stream":)" +
                                              std::string(prompt == "stream" ? "true" : "false"));
    const HttpAnswer tapped = through.post("/v1/completions", sent);
    const HttpAnswer plain = direct.post("/v1/completions", sent);
    EXPECT_EQ(tapped.status, plain.status) << prompt;
    EXPECT_EQ(tapped.body, plain.body) << prompt;
    EXPECT_EQ(tapped.header("content-type"), plain.header("content-type"));
  }
  EXPECT_EQ(through.exchange("GET", "/v1/models").status, 400) << "as the server answers it";
  const auto entries = ledger();
  ASSERT_EQ(entries.size(), 3u) << "a GET owes no span";
  EXPECT_EQ(counters_.exchanges, 4);
  EXPECT_EQ(counters_.written, 3);
  for (size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i].index, static_cast<int64_t>(i));
    EXPECT_EQ(entries[i].endpoint, "/v1/completions");
    EXPECT_EQ(entries[i].model, "tiny");
    EXPECT_EQ(entries[i].tenant, "ann");
    EXPECT_EQ(entries[i].choices, 2);
    EXPECT_EQ(entries[i].parameters.max_tokens, 7);
    EXPECT_GT(entries[i].done_ns, 0);
    EXPECT_EQ(entries[i].text, "") << "no content is kept";
  }
  EXPECT_EQ(entries[0].outcome, ClientOutcome::kCompleted);
  EXPECT_EQ(entries[0].response_id, "cmpl-2");
  ASSERT_TRUE(entries[0].usage);
  EXPECT_EQ(entries[0].usage->completion_tokens, 1);
  EXPECT_EQ(entries[0].finish_reasons, (std::vector<std::string>{"stop"}));
  EXPECT_EQ(entries[1].outcome, ClientOutcome::kCompleted);
  EXPECT_TRUE(entries[1].stream);
  EXPECT_GT(entries[1].chunk_offsets_ns.size(), 1u);
  EXPECT_EQ(entries[2].outcome, ClientOutcome::kRefused);
  EXPECT_EQ(entries[2].error, "BadRequestError");
  EXPECT_EQ(entries[2].expect_status, 400) << "a live client's mistake is no finding";
}

TEST_F(TapTest, ATraceparentIsKeptAndAMissingOrBrokenOneIsMade) {
  TinyServer server;
  start(options(server.url()));
  HttpClient through = client();
  for (const std::string header : {kParent, "", "00-nonsense"}) {
    std::vector<std::pair<std::string, std::string>> headers;
    if (!header.empty()) headers.emplace_back("traceparent", header);
    EXPECT_EQ(through.exchange("POST", "/v1/completions", body("whole"), headers).status, 200);
  }
  EXPECT_EQ(through.exchange("POST", "/v1/embeddings", body("whole")).status, 200);
  const auto entries = ledger();
  const std::vector<std::string> seen = server.trace_parents();
  ASSERT_EQ(entries.size(), 3u);
  ASSERT_EQ(seen.size(), 4u);
  EXPECT_EQ(seen[0], kParent);
  for (size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(seen[i], records::format_traceparent(entries[i].trace_id, entries[i].span_id, 1));
  }
  EXPECT_NE(entries[1].trace_id, entries[2].trace_id);
  EXPECT_EQ(seen[3], "") << "what owes no span passes as it is";
}

TEST_F(TapTest, ALargeBodyInChunksPassesUnchanged) {
  TinyServer server;
  start(options(server.url()));
  HttpClient through = client();
  const std::string sent = body("whole", R"(,"stop":[")" + std::string(900'000, 'x') + "\"]");
  ASSERT_TRUE(
      through.send("POST /v1/completions HTTP/1.1\r\nhost: a\r\n"
                   "transfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n"));
  EXPECT_THAT(through.read_until("\r\n\r\n"), HasSubstr("100 Continue"));
  for (size_t at = 0; at < sent.size(); at += 100'000) {
    const std::string piece = sent.substr(at, 100'000);
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    ASSERT_TRUE(through.send(size + piece + "\r\n"));
  }
  ASSERT_TRUE(through.send("0\r\n\r\n"));
  const std::string answer = through.read_until("\"completion_tokens\":1}}");
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 200"));
  EXPECT_EQ(server.bodies(), (std::vector<std::string>{sent}));
  ASSERT_EQ(ledger().size(), 1u);
}

TEST_F(TapTest, AClientThatHangsUpIsPassedOnAndRecorded) {
  TinyServer server;
  start(options(server.url()));
  {
    HttpClient through = client();
    ASSERT_TRUE(through.send(
        request_text("POST", "/v1/completions", body("endless", R"(,"stream":true)"))));
    EXPECT_EQ(through.read_first_chunks(2).status, 200);
  }
  {
    HttpClient through = client();
    ASSERT_TRUE(through.send(request_text("POST", "/v1/completions", body("silent"))));
    while (server.requests() < 2) std::this_thread::yield();
  }  // gone before a byte of the answer
  const auto entries = ledger();
  while (server.hang_ups() < 1) std::this_thread::yield();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].outcome, ClientOutcome::kHungUp);
  EXPECT_EQ(entries[1].outcome, ClientOutcome::kHungUp);
  EXPECT_EQ(entries[0].status + entries[1].status, 200) << "one had begun";
}

TEST_F(TapTest, WhatBreaksUpstreamIs502OrABrokenAnswerAndALine) {
  TinyServer server;
  start(options(server.url()));
  for (const std::string prompt : {"drop", "garbage"}) {
    const HttpAnswer answer = client().post("/v1/completions", body(prompt));
    EXPECT_EQ(answer.status, 502) << prompt;
    EXPECT_THAT(answer.body, HasSubstr("BadGatewayError"));
  }
  HttpClient through = client();
  const HttpAnswer cut = through.post("/v1/completions", body("cut", R"(,"stream":true)"));
  EXPECT_EQ(cut.problem, "closed") << "the client sees the break too";
  const auto entries = ledger();
  ASSERT_EQ(entries.size(), 3u);
  for (const LedgerEntry& entry : entries) {
    EXPECT_EQ(entry.outcome, ClientOutcome::kFailed);
    EXPECT_THAT(entry.error, HasSubstr("upstream: "));
  }
  EXPECT_EQ(entries[0].status, 502);
  EXPECT_EQ(entries[2].status, 200);
  EXPECT_EQ(counters_.upstream_failures, 3);
}

TEST_F(TapTest, NobodyUpstreamIs502) {
  PortReservation ports;
  const auto port = ports.take();
  ASSERT_TRUE(port);
  start(options("http://127.0.0.1:" + std::to_string(*port)));
  EXPECT_EQ(client().post("/v1/completions", body("whole")).status, 502);
  EXPECT_EQ(ledger().size(), 1u);
}

TEST_F(TapTest, BadHttpIsRefusedAndCostsOneConnection) {
  TinyServer server;
  start(options(server.url()));
  HttpClient bad = client();
  ASSERT_TRUE(bad.send("POST /v1/completions NOTHTTP\r\n\r\n"));
  EXPECT_EQ(bad.read_answer().status, 400);
  HttpClient long_header = client();
  (void)long_header.send("GET / HTTP/1.1\r\nhost: a\r\nx: " + std::string(2 << 20, 'x'));
  EXPECT_EQ(client().post("/v1/completions", body("whole")).status, 200);
  EXPECT_EQ(ledger().size(), 1u);
}

TEST_F(TapTest, LinesAreAddedToThoseOfAFormerRunAndATornOneIsCutOff) {
  TinyServer server;
  start(options(server.url()));
  EXPECT_EQ(client().post("/v1/completions", body("whole")).status, 200);
  ASSERT_EQ(ledger().size(), 1u);
  const auto before = read_file(ledger_path());
  ASSERT_TRUE(before);
  ASSERT_TRUE(write_file_atomic(ledger_path(), *before + R"({"i":1,"torn)"));
  start(options(server.url()));
  EXPECT_EQ(client().post("/v1/completions", body("whole")).status, 200);
  const auto entries = ledger();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[1].index, 1);
}

TEST_F(TapTest, AfterARotationLinesGoToTheNewFile) {
  TinyServer server;
  start(options(server.url()));
  EXPECT_EQ(client().post("/v1/completions", body("whole")).status, 200);
  while (read_file(ledger_path())->empty()) std::this_thread::yield();
  std::filesystem::rename(ledger_path(), ledger_path() + ".1");
  tap_->reopen_ledger();
  EXPECT_EQ(client().post("/v1/completions", body("whole")).status, 200);
  const auto entries = ledger();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].index, 1) << "counted on";
  EXPECT_EQ(records::read_ledger(ledger_path() + ".1")->size(), 1u);
}

/// Files of this process may be no larger, as on a full disk.
class FileSizeLimit final {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    former_handler_ = ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &former_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = former_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &former_);
    ::signal(SIGXFSZ, former_handler_);
  }

 private:
  rlimit former_{};
  void (*former_handler_)(int) = nullptr;
};

TEST_F(TapTest, AFullDiskCostsLinesAndNoRequest) {
  TinyServer server;
  std::vector<std::string> notices;
  TapOptions full = options(server.url());
  full.notice = [&](const std::string& notice) { notices.push_back(notice); };
  start(full);
  {
    const FileSizeLimit limit(100);
    EXPECT_EQ(client().post("/v1/completions", body("whole")).status, 200);
    EXPECT_EQ(client().post("/v1/completions", body("whole")).status, 200);
    counters_ = tap_->stop(kDrainNs);
  }
  EXPECT_EQ(counters_.lost, 2);
  EXPECT_EQ(counters_.written, 0);
  ASSERT_EQ(notices.size(), 1u) << "told once";
  EXPECT_THAT(notices[0], HasSubstr("ledger lines are being lost: " + ledger_path()));
  EXPECT_EQ(*read_file(ledger_path()), "") << "no line is there in part";
}

TEST_F(TapTest, AFileWithRoomAgainIsWrittenAgain) {
  AppendFile file(ledger_path());
  ASSERT_TRUE(file.open());
  ASSERT_TRUE(file.append("one\n"));
  {
    const FileSizeLimit limit(10);
    EXPECT_FALSE(file.append("two and more than fits\n"));
  }
  ASSERT_TRUE(file.append("three\n"));
  EXPECT_EQ(*read_file(ledger_path()), "one\nthree\n");
}

TEST_F(TapTest, WhatCannotStartSaysWhy) {
  TinyServer server;
  const auto problem = [&](const std::string& listen, const std::string& upstream,
                           const std::string& ledger) {
    TapOptions bad = options(upstream);
    bad.listen = listen;
    bad.ledger = ledger;
    const auto tap = Tap::start(bad, clock_);
    return tap ? std::string() : tap.error().message;
  };
  const std::string good = server.url();
  EXPECT_THAT(problem("nowhere", good, ledger_path()), HasSubstr("--listen: got \"nowhere\""));
  EXPECT_THAT(problem("127.0.0.1:" + std::to_string(server.port()), good, ledger_path()),
              HasSubstr("in use"));
  EXPECT_THAT(problem("127.0.0.1:0", "ftp://x", ledger_path()), HasSubstr("--upstream"));
  EXPECT_THAT(problem("127.0.0.1:0", good, folder_->path() + "/no/x.jsonl"), HasSubstr("/no/x"));
}

TEST_F(TapTest, StoppingLetsAnAnswerUnderWayEndAndGivesUpASilentOne) {
  TinyServer server;
  start(options(server.url()));
  HttpClient waiting = client();
  ASSERT_TRUE(waiting.send(request_text("POST", "/v1/completions", body("silent"))));
  while (server.requests() < 1) std::this_thread::yield();
  counters_ = tap_->stop(kNsPerMs);
  const auto entries = records::read_ledger(ledger_path());
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 1u);
  EXPECT_NE(entries->front().outcome, ClientOutcome::kCompleted);
}

TEST(SentBody, SaysWhatTheLedgerNeedsAndNothingOfWhatIsNoJson) {
  const auto read = [](const std::string& body) {
    LedgerEntry entry;
    read_sent_body(body, entry);
    return entry;
  };
  EXPECT_EQ(read(R"({"prompt":["a","b","c"],"n":4})").choices, 12);
  EXPECT_EQ(read(R"({"prompt":[1,2,3]})").choices, 1);
  EXPECT_EQ(read(R"({"prompt":[[1,2],[3]],"n":-5})").choices, 2);
  EXPECT_EQ(read(R"({"n":999999999999,"prompt":["a","b"]})").choices, 1'000'000);
  EXPECT_TRUE(read(R"({"stream":true})").stream);
  EXPECT_FALSE(read(R"({"stream":"true"})").stream);
  EXPECT_EQ(read(R"({"model":7,"user":["x"]})").model, "");
  EXPECT_EQ(read("not json").choices, 1);
  EXPECT_TRUE(is_generation("/prefix/v1/chat/completions"));
  EXPECT_FALSE(is_generation("/v1/completions/x"));
}

}  // namespace
}  // namespace touchstone::harness
