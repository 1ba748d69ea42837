#include "harness/load/generator.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/files.h"
#include "harness/load/planned.h"
#include "harness/process/ports.h"
#include "http/client.h"
#include "http/url.h"
#include "tests/harness/tiny_server.h"
#include "tests/harness/tls_server.h"

namespace touchstone::harness {
namespace {

using records::ClientOutcome;

class LoadGenerator : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::make("touchstone-load-test");
    ASSERT_TRUE(made);
    folder_ = std::make_unique<TemporaryDirectory>(std::move(*made));
  }
  struct Load {
    LoadTarget target;
    LoadOptions options;
  };
  Load options(const std::string& url) const {
    Load load;
    load.target.url = url;
    load.target.model = "tiny";
    load.target.seed = 5;
    load.target.timeout_ns = 5 * kNsPerSecond;
    load.options.ledger_path = folder_->path() + "/requests.jsonl";
    return load;
  }
  static workload::Request request(const std::string& prompt, int64_t arrival_ns = 0) {
    workload::Request made;
    made.name = prompt;
    made.prompt = prompt;
    made.output_tokens = 4;
    made.arrival_ns = arrival_ns;
    made.stream = prompt == "stream" || prompt == "cut" || prompt == "endless";
    return made;
  }
  Result<LoadOutcome> run(const std::vector<workload::Request>& requests, Load load) {
    workload_.requests = requests;
    load.target.workload = &workload_;
    return run_load({load.target}, load.options, clock_);
  }

  RealClock clock_;
  workload::Workload workload_;  ///< of the last run
  std::unique_ptr<TemporaryDirectory> folder_;
};

TEST_F(LoadGenerator, EveryRequestEndsInTheLedgerAsItsClientSawIt) {
  TinyServer server;
  workload::Request hang_up = request("endless");
  hang_up.hang_up_after_chunks = 3;
  workload::Request invalid = request("x");
  invalid.raw_body = "{not json";
  const auto outcome = run({request("whole"), request("stream"), request("cut"), request("drop"),
                            request("garbage"), hang_up, invalid},
                           options(server.url()));
  ASSERT_TRUE(outcome) << outcome.error().message;
  const auto& entries = outcome->entries;
  ASSERT_EQ(entries.size(), 7u);
  EXPECT_EQ(entries[0].outcome, records::ClientOutcome::kCompleted);
  EXPECT_EQ(entries[0].usage->completion_tokens, 1);
  EXPECT_EQ(entries[0].parameters.max_tokens, 4) << "what was asked stands beside what came";
  EXPECT_EQ(entries[1].outcome, records::ClientOutcome::kCompleted) << entries[1].error;
  EXPECT_EQ(entries[1].chunk_offsets_ns.size(), 20u);
  EXPECT_EQ(entries[2].outcome, records::ClientOutcome::kFailed);
  EXPECT_EQ(entries[2].status, 200);
  EXPECT_EQ(entries[2].chunk_offsets_ns.size(), 3u) << "what came before the break is kept";
  EXPECT_EQ(entries[3].outcome, records::ClientOutcome::kFailed);
  EXPECT_EQ(entries[3].status, 0);
  EXPECT_EQ(entries[4].outcome, records::ClientOutcome::kFailed);
  EXPECT_EQ(entries[5].outcome, records::ClientOutcome::kHungUp);
  EXPECT_EQ(entries[5].chunk_offsets_ns.size(), 3u);
  EXPECT_EQ(entries[6].outcome, records::ClientOutcome::kRefused);
  EXPECT_EQ(entries[6].status, 400);
  EXPECT_EQ(entries[6].error, "BadRequestError");
  const auto read = records::read_ledger(folder_->path() + "/requests.jsonl");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 7u);
  for (size_t i = 0; i < read->size(); ++i) {
    EXPECT_EQ(records::to_json_line((*read)[i]), records::to_json_line(entries[i]));
    EXPECT_EQ((*read)[i].index, static_cast<int64_t>(i)) << "the ledger is in order of index";
  }
}

/// Every request is there at once; three clients take them one after the other.
TEST_F(LoadGenerator, AClosedLoopHasSoManyClientsAndNoMore) {
  TinyServer server;
  Load load = options(server.url());
  load.target.clients = 3;
  const auto outcome = run(std::vector<workload::Request>(12, request("stream")), load);
  ASSERT_TRUE(outcome) << outcome.error().message;
  std::vector<std::pair<int64_t, int64_t>> spans;
  int64_t last_ns = 0;
  for (const auto& entry : outcome->entries) {
    EXPECT_EQ(entry.outcome, ClientOutcome::kCompleted) << entry.error;
    EXPECT_GE(entry.intended_ns, last_ns) << "in order of sending";
    last_ns = entry.intended_ns;
    spans.emplace_back(entry.sent_unix_ns, entry.sent_unix_ns + entry.done_ns);
  }
  EXPECT_GT(last_ns, 0) << "not all at once";
  for (const auto& [start, end] : spans) {
    const auto at_once = std::count_if(spans.begin(), spans.end(), [at = start](const auto& other) {
      return other.first <= at && at < other.second;
    });
    EXPECT_LE(at_once, 3);
  }
}

TEST_F(LoadGenerator, VanishingClientsHangUpAndWhoeverWasAnsweredBeforeIsNot) {
  TinyServer server;
  Load load = options(server.url());
  load.target.manners = {.vanish_per_million = 1'000'000, .vanish_within_ns = 50 * kNsPerMs};
  const auto gone = run(std::vector<workload::Request>(4, request("silent")), load);
  ASSERT_TRUE(gone) << gone.error().message;
  for (const auto& entry : gone->entries) {
    EXPECT_EQ(entry.outcome, ClientOutcome::kHungUp) << entry.error;
    EXPECT_EQ(entry.status, 0);
    EXPECT_LT(entry.done_ns, kNsPerSecond);
  }
  load.target.manners.vanish_within_ns = 3600 * kNsPerSecond;
  const auto answered = run({request("whole")}, load);
  ASSERT_TRUE(answered);
  EXPECT_EQ(answered->entries[0].outcome, ClientOutcome::kCompleted);
}

TEST_F(LoadGenerator, SlowClientsPauseBeforeEachReadAndGetTheSame) {
  TinyServer server;
  Load load = options(server.url());
  load.target.manners = {.slow_per_million = 1'000'000, .read_pause_ns = 30 * kNsPerMs};
  const auto outcome = run({request("stream")}, load);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->entries[0].outcome, ClientOutcome::kCompleted) << outcome->entries[0].error;
  EXPECT_EQ(outcome->entries[0].chunk_offsets_ns.size(), 20u);
  EXPECT_GE(outcome->entries[0].done_ns, 30 * kNsPerMs);
}

TEST_F(LoadGenerator, MannersAreOfTheSeed) {
  workload::Workload workload;
  workload.requests.assign(1000, request("whole"));
  LoadTarget target;
  target.workload = &workload;
  target.seed = 3;
  target.manners = {.slow_per_million = 300'000, .vanish_per_million = 100'000};
  const auto manners = planned_manners(target, 0);
  const auto again = planned_manners(target, 0);
  int slow = 0;
  int vanishing = 0;
  for (size_t i = 0; i < manners.size(); ++i) {
    slow += manners[i].read_pause_ns > 0;
    vanishing += manners[i].leaves_after_ns.has_value();
    EXPECT_EQ(manners[i].leaves_after_ns, again[i].leaves_after_ns);
  }
  EXPECT_NEAR(slow, 300, 60);
  EXPECT_NEAR(vanishing, 100, 40);
}

TEST_F(LoadGenerator, TheServerSeesTheClientsHangUp) {
  TinyServer server;
  workload::Request hang_up = request("endless");
  hang_up.hang_up_after_chunks = 1;
  ASSERT_TRUE(run({hang_up}, options(server.url())));
  const int64_t deadline = clock_.monotonic_ns() + 20 * kNsPerSecond;
  while (server.hang_ups() == 0 && clock_.monotonic_ns() < deadline) {
  }
  EXPECT_EQ(server.hang_ups(), 1);
}

TEST_F(LoadGenerator, EachRequestHasItsOwnTraceAndEqualSeedsGiveEqualOnes) {
  const auto trace_parents = [&](uint64_t seed) {
    TinyServer server;
    Load load = options(server.url());
    load.target.seed = seed;
    load.options.connections_max = 1;  // in order
    EXPECT_TRUE(run({request("whole"), request("whole"), request("whole")}, load));
    return server.trace_parents();
  };
  const auto first = trace_parents(5);
  ASSERT_EQ(first.size(), 3u);
  EXPECT_EQ(std::set<std::string>(first.begin(), first.end()).size(), 3u);
  for (const std::string& header : first) {
    EXPECT_EQ(header.size(), 55u);
    EXPECT_EQ(header.substr(0, 3), "00-");
    EXPECT_EQ(header.substr(52), "-01");
  }
  EXPECT_EQ(trace_parents(5), first);
  EXPECT_NE(trace_parents(6), first);
}

TEST_F(LoadGenerator, TheTraceparentSaysWhetherARequestIsSampled) {
  TinyServer server;
  Load load = options(server.url());
  load.options.connections_max = 1;  // in order
  load.target.sampled_per_million = 500'000;
  const auto outcome = run(std::vector<workload::Request>(20, request("whole")), load);
  ASSERT_TRUE(outcome) << outcome.error().message;
  const auto headers = server.trace_parents();
  ASSERT_EQ(headers.size(), 20u);
  int sampled = 0;
  for (size_t i = 0; i < headers.size(); ++i) {
    EXPECT_EQ(headers[i].substr(52), outcome->entries[i].sampled ? "-01" : "-00");
    sampled += outcome->entries[i].sampled;
  }
  EXPECT_GT(sampled, 0);
  EXPECT_LT(sampled, 20);
}

TEST_F(LoadGenerator, SeveralServersAreDrivenAtOnceAndTheLedgerSaysWhich) {
  TinyServer first;
  TinyServer second;
  workload::Workload to_first;
  workload::Workload to_second;
  to_first.requests = {request("whole"), request("whole", 20 * kNsPerMs)};
  to_second.requests = {request("whole", 10 * kNsPerMs)};
  Load load = options(first.url());
  LoadTarget other = load.target;
  load.target.name = "first";
  load.target.workload = &to_first;
  other.name = "second";
  other.url = second.url();
  other.model = "small";
  other.workload = &to_second;
  const auto outcome = run_load({load.target, other}, load.options, clock_);
  ASSERT_TRUE(outcome) << outcome.error().message;
  ASSERT_EQ(outcome->entries.size(), 3u);
  EXPECT_EQ(first.requests(), 2);
  EXPECT_EQ(second.requests(), 1);
  EXPECT_EQ(outcome->entries[0].subject, "first");
  EXPECT_EQ(outcome->entries[1].subject, "second") << "in order of intended time";
  EXPECT_EQ(outcome->entries[1].index, 1);
  EXPECT_EQ(outcome->entries[1].model, "small");
  EXPECT_EQ(outcome->sent[1].request, &to_second.requests[0]);
  EXPECT_NE(outcome->entries[0].trace_id, outcome->entries[1].trace_id)
      << "equal seeds, different servers";
}

TEST_F(LoadGenerator, AServerWithAKeyBehindHttpsIsReached) {
  const std::string certificate = folder_->path() + "/server.pem";
  const TlsServer server(certificate);
  Load load = options(server.url());
  load.target.access.headers = {{"Authorization", "Bearer secret"}};
  load.target.access.tls.ca_file = certificate;
  const auto trusted = run({request("whole"), request("whole")}, load);
  ASSERT_TRUE(trusted) << trusted.error().message;
  for (const auto& entry : trusted->entries) {
    EXPECT_EQ(entry.outcome, ClientOutcome::kCompleted) << entry.error;
  }
  EXPECT_EQ(server.keys(), std::vector<std::string>(2, "Bearer secret"));
  load.target.access.tls = {};
  const auto unknown = run({request("whole")}, load);
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->entries[0].outcome, ClientOutcome::kFailed);
  EXPECT_NE(unknown->entries[0].error.find("TLS: "), std::string::npos);
  load.target.access.tls.insecure = true;
  EXPECT_EQ(run({request("whole")}, load)->entries[0].outcome, ClientOutcome::kCompleted);
  load.target.access.tls.ca_file = "/no/such.pem";
  EXPECT_FALSE(run({request("whole")}, load));
}

TEST_F(LoadGenerator, ASlowServerDoesNotHoldBackTheNextRequests) {
  TinyServer server;
  Load load = options(server.url());
  load.target.timeout_ns = 400 * kNsPerMs;
  // The first is never answered; the others must be sent at their times all the same.
  const auto outcome = run(
      {request("silent"), request("whole", 50 * kNsPerMs), request("whole", 100 * kNsPerMs)}, load);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->entries[0].outcome, records::ClientOutcome::kFailed);
  EXPECT_GE(outcome->entries[0].done_ns, 300 * kNsPerMs);
  for (size_t i = 1; i < 3; ++i) {
    const auto& entry = outcome->entries[i];
    EXPECT_EQ(entry.outcome, records::ClientOutcome::kCompleted);
    const int64_t late = entry.sent_unix_ns - outcome->start_unix_ns - entry.intended_ns;
    EXPECT_GE(late, 0);
    EXPECT_LT(late, 200 * kNsPerMs);
  }
}

TEST_F(LoadGenerator, BeyondTheMostConnectionsRequestsWaitAndTheirLatencyShowsIt) {
  TinyServer server;
  Load load = options(server.url());
  load.target.timeout_ns = 200 * kNsPerMs;
  load.options.connections_max = 1;
  const auto outcome = run({request("silent"), request("whole")}, load);
  ASSERT_TRUE(outcome);
  const auto& second = outcome->entries[1];
  EXPECT_EQ(second.outcome, records::ClientOutcome::kCompleted);
  EXPECT_GE(second.sent_unix_ns - outcome->start_unix_ns - second.intended_ns, 150 * kNsPerMs);
}

TEST_F(LoadGenerator, ConnectionsAreUsedAgainWhereTheServerAllowsIt) {
  const auto connections = [&](bool close_after_each) {
    TinyServer server(close_after_each);
    Load load = options(server.url());
    load.options.connections_max = 1;
    const auto outcome =
        run({request("whole"), request("whole"), request("refuse"), request("stream")}, load);
    EXPECT_TRUE(outcome);
    for (const auto& entry : outcome->entries)
      EXPECT_NE(entry.outcome, records::ClientOutcome::kFailed);
    EXPECT_EQ(server.requests(), 4);
    return server.connections();
  };
  EXPECT_EQ(connections(false), 1);
  EXPECT_EQ(connections(true), 4);
}

TEST_F(LoadGenerator, NobodyListeningIsAFailureOfEachRequest) {
  PortReservation ports;
  const auto port = ports.take();
  ASSERT_TRUE(port);
  const auto outcome =
      run({request("whole")}, options("http://127.0.0.1:" + std::to_string(*port)));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->entries[0].outcome, records::ClientOutcome::kFailed);
  EXPECT_EQ(outcome->entries[0].error, "connect: Connection refused");
}

TEST_F(LoadGenerator, AWatchEndsTheLoadAtOnceAndTheLedgerHasWhatWasSent) {
  TinyServer server;
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  Load load = options(server.url());
  load.target.timeout_ns = 60 * kNsPerSecond;
  load.options.actions.push_back({200 * kNsPerMs, [&] { (void)!::write(ends[1], "x", 1); }});
  load.options.watches.push_back(
      {ends[0], [] {
         return Status(Error{ErrorCode::kCancelled, "interrupted by SIGINT", {}});
       }});
  const auto outcome =
      run({request("whole"), request("silent"), request("whole", 3600 * kNsPerSecond)}, load);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kCancelled);
  const auto ledger = records::read_ledger(load.options.ledger_path);
  ASSERT_TRUE(ledger) << ledger.error().message;
  ASSERT_EQ(ledger->size(), 2u) << "the third was never sent";
  EXPECT_EQ((*ledger)[1].error, "given up: the load was stopped");
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(LoadGenerator, ActionsHappenInTheMiddleOrAreCountedAsNotReached) {
  TinyServer server;
  Load load = options(server.url());
  int done = 0;
  load.options.actions = {{20 * kNsPerMs, [&] { ++done; }}, {3600 * kNsPerSecond, [&] { ++done; }}};
  const auto outcome = run({request("whole", 100 * kNsPerMs)}, load);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(done, 1);
  EXPECT_EQ(outcome->actions_not_reached, 1);
}

TEST_F(LoadGenerator, TheLastProgressSaysHowItEnded) {
  TinyServer server;
  Load load = options(server.url());
  LoadProgress last;
  load.options.on_progress = [&](const LoadProgress& now) { last = now; };
  ASSERT_TRUE(run({request("whole"), request("stream")}, load));
  EXPECT_EQ(last.sent, 2);
  EXPECT_EQ(last.done, 2);
  EXPECT_EQ(last.total, 2);
}

TEST_F(LoadGenerator, TextIsKeptForTheSamplesOnly) {
  TinyServer server;
  Load load = options(server.url());
  load.target.samples = {"stream"};
  const auto outcome = run({request("whole"), request("stream")}, load);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->entries[0].text, "");
  EXPECT_EQ(outcome->entries[1].text.substr(0, 6), "x0x1x2");
}

TEST_F(LoadGenerator, AFullDiskEndsTheLoadWithTheReason) {
  TinyServer server;
  Load load = options(server.url());
  // By a link, which is what would be replaced if the load came to its end.
  ASSERT_EQ(::symlink("/dev/full", load.options.ledger_path.c_str()), 0);
  const auto outcome = run({request("whole")}, load);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kIo);
  EXPECT_NE(outcome.error().message.find("No space left"), std::string::npos)
      << outcome.error().message;
}

TEST_F(LoadGenerator, AnEmptyWorkloadEndsAtOnce) {
  TinyServer server;
  const auto outcome = run({}, options(server.url()));
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->entries.empty());
}

TEST(Url, GoodAndBadRows) {
  const struct {
    std::string text;
    std::string host;
    std::string port;
    std::string path;
  } good[] = {{"http://127.0.0.1:8000", "127.0.0.1", "8000", ""},
              {"http://host", "host", "80", ""},
              {"http://host:1/v1/", "host", "1", "/v1"},
              {"https://host/v1", "host", "443", "/v1"},
              {"http://[::1]:8000/x", "::1", "8000", "/x"}};
  for (const auto& row : good) {
    const auto url = http::parse_url(row.text);
    ASSERT_TRUE(url) << row.text;
    EXPECT_EQ(url->host, row.host);
    EXPECT_EQ(url->port, row.port);
    EXPECT_EQ(url->path, row.path);
    EXPECT_EQ(http::parse_url(url->text())->text(), url->text());
  }
  for (const char* bad : {"", "host:80", "https://", "http://", "http://:80", "http://h:0",
                          "http://h:70000", "http://h:x", "ftp://h"}) {
    EXPECT_FALSE(http::parse_url(bad)) << bad;
  }
}

TEST(HttpGet, HttpsIsCheckedUnlessToldOtherwise) {
  const auto folder = TemporaryDirectory::make("touchstone-https");
  ASSERT_TRUE(folder);
  const std::string certificate = folder->path() + "/server.pem";
  const TlsServer server(certificate);
  const auto get = [&](const http::TlsOptions& tls) {
    return http::http_get_body(server.url() + "/x", 5 * kNsPerSecond,
                               {.headers = {{"Authorization", "Bearer k"}}, .tls = tls});
  };
  EXPECT_TRUE(get({.ca_file = certificate, .insecure = false}));
  EXPECT_TRUE(get({.ca_file = {}, .insecure = true}));
  EXPECT_FALSE(get({})) << "nobody vouches for it";
  const auto missing = get({.ca_file = "/no/such.pem", .insecure = false});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(server.keys(), std::vector<std::string>(2, "Bearer k"));
}

TEST(HttpGet, AnswersAndFailures) {
  TinyServer server;
  const auto refused = http::http_get(server.url() + "/x", 5 * kNsPerSecond);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 400);
  const auto body = http::http_get_body(server.url() + "/x", 5 * kNsPerSecond);
  ASSERT_FALSE(body);
  EXPECT_NE(body.error().message.find("got status 400, expected 200"), std::string::npos);
  PortReservation ports;
  const auto nobody =
      http::http_get("http://127.0.0.1:" + std::to_string(*ports.take()), kNsPerSecond);
  ASSERT_FALSE(nobody);
  EXPECT_NE(nobody.error().message.find("Connection refused"), std::string::npos);
}

}  // namespace
}  // namespace touchstone::harness
