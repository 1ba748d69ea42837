#include "telemetry/export/span_spool.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

#include "base/clock.h"
#include "base/files.h"
#include "base/random.h"
#include "telemetry/export/spool_exporter.h"
#include "telemetry/export/transports.h"
#include "telemetry/otlp/protobuf.h"
#include "telemetry/redelivery.h"
#include "tests/support/recording_receiver.h"

namespace touchstone::telemetry {
namespace {

namespace fs = std::filesystem;
using testing::RecordingReceiver;

constexpr int64_t kLong = 30 * kNsPerSecond;

class Spool : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::make("spool");
    ASSERT_TRUE(made);
    folder_.emplace(*std::move(made));
  }
  SpoolOptions options() const { return {.directory = folder_->path() + "/spool"}; }
  std::unique_ptr<SpanSpool> open(const SpoolOptions& options) const {
    auto spool = SpanSpool::open(options);
    EXPECT_TRUE(spool) << spool.error().message;
    return spool ? *std::move(spool) : nullptr;
  }
  std::vector<std::string> segments() const {
    std::vector<std::string> paths;
    for (const auto& entry : fs::directory_iterator(options().directory)) {
      if (entry.path().extension() == ".spans") paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
  }
  std::optional<TemporaryDirectory> folder_;
};

/// Reads all that is left.
std::vector<std::string> rest_of(SpanSpool& spool) {
  std::vector<std::string> requests;
  for (;;) {
    auto entry = spool.next();
    EXPECT_TRUE(entry) << entry.error().message;
    if (!entry || !*entry) return requests;
    requests.push_back(std::move((*entry)->request));
  }
}

TEST_F(Spool, GivesBackWhatItTookInOrderUntilItIsCommitted) {
  SpoolOptions small = options();
  small.segment_bytes = 64;
  {
    const auto spool = open(small);
    for (const char* request : {"one", "two", "three", "four", "five"}) {
      EXPECT_TRUE(*spool->append(request, 2));
    }
    EXPECT_EQ(spool->unread_spans(), 10);
    const auto first = spool->next();
    ASSERT_TRUE(first && *first);
    EXPECT_EQ((*first)->request, "one");
    EXPECT_EQ((*first)->spans, 2);
    EXPECT_TRUE(spool->commit((*first)->end));
    EXPECT_EQ((*spool->next())->request, "two") << "read, not committed";
    EXPECT_EQ(spool->unread_spans(), 6);
  }
  {
    const auto spool = open(small);
    EXPECT_EQ(spool->unread_spans(), 8);
    EXPECT_EQ(rest_of(*spool), (std::vector<std::string>{"two", "three", "four", "five"}));
    EXPECT_TRUE(*spool->append("six", 1));
    const auto last = spool->next();
    ASSERT_TRUE(last && *last);
    EXPECT_TRUE(spool->commit((*last)->end));
    EXPECT_EQ(segments().size(), 1u) << "what is delivered is gone";
  }
  EXPECT_TRUE(rest_of(*open(small)).empty());
}

TEST_F(Spool, TakesNothingMoreWhenItIsFull) {
  SpoolOptions small = options();
  small.bytes_max = 100;
  const auto spool = open(small);
  EXPECT_TRUE(*spool->append(std::string(60, 'a'), 1));
  EXPECT_FALSE(*spool->append(std::string(60, 'b'), 1));
  EXPECT_LE(spool->bytes(), 100);
  EXPECT_EQ(rest_of(*spool).size(), 1u);
}

TEST_F(Spool, BelongsToOneProcess) {
  const auto spool = open(options());
  const auto second = SpanSpool::open(options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
}

TEST_F(Spool, ATornOrChangedEntryCostsTheRestOfItsSegmentAlone) {
  for (const bool torn : {true, false}) {
    fs::remove_all(options().directory);
    SpoolOptions small = options();
    small.segment_bytes = 50;  // two entries each
    {
      const auto spool = open(small);
      for (const char* request : {"first", "second", "third", "fourth"}) {
        EXPECT_TRUE(*spool->append(request, 1));
      }
    }
    const std::string path = segments().front();
    if (torn) {
      fs::resize_file(path, fs::file_size(path) - 1);
    } else {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(-1, std::ios::end);
      file.put('?');
    }
    const auto spool = open(small);
    EXPECT_EQ(rest_of(*spool), (std::vector<std::string>{"first", "third", "fourth"}));
    EXPECT_GT(spool->lost_bytes(), 0);
  }
}

/// Appends until it is killed and says of each entry that it was taken.
[[noreturn]] void append_forever(const SpoolOptions& options, int acknowledged) {
  const auto spool = SpanSpool::open(options);
  for (uint32_t i = 0;; ++i) {
    const std::string request = std::to_string(i) + std::string(i % 700, 'x');
    if (!spool || !(*spool)->append(request, 1)) _exit(1);
    if (write(acknowledged, &i, sizeof(i)) != sizeof(i)) _exit(1);
    if (i % 5 == 0) {
      const auto entry = (*spool)->next();
      if (entry && *entry) (void)(*spool)->commit((*entry)->end);
    }
  }
}

TEST_F(Spool, LosesNothingThatItTookWhereverItsProcessIsKilled) {
  RandomStream random(1, "kills");
  SpoolOptions small = options();
  small.segment_bytes = 8192;
  for (int kill_number = 0; kill_number < 200; ++kill_number) {
    SCOPED_TRACE(kill_number);
    fs::remove_all(small.directory);
    int pipes[2];
    ASSERT_EQ(pipe(pipes), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(pipes[0]);
      append_forever(small, pipes[1]);
    }
    close(pipes[1]);
    // Until so many are taken, and in the middle of what comes then.
    const auto wanted = static_cast<uint32_t>(random.below(120));
    uint32_t taken = 0;
    int64_t count = 0;
    while (count <= wanted && read(pipes[0], &taken, sizeof(taken)) == sizeof(taken)) ++count;
    kill(child, SIGKILL);
    while (read(pipes[0], &taken, sizeof(taken)) == sizeof(taken)) ++count;
    close(pipes[0]);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "ended by itself with " << status;
    const auto spool = open(small);
    std::set<int> found;
    for (const std::string& request : rest_of(*spool)) found.insert(std::stoi(request));
    // What was committed is not there any more; after it there is no gap.
    const int first = found.empty() ? static_cast<int>(count) : *found.begin();
    EXPECT_LE(first, static_cast<int>(count / 5) + 1) << "no more than was read";
    for (int i = first; i < count; ++i) EXPECT_TRUE(found.contains(i)) << i << " of " << count;
  }
}

class SpooledExport : public Spool {
 protected:
  std::unique_ptr<SpanExporter> exporter(const std::string& endpoint, BatchOptions batch) {
    batch.delay_ns = 5 * kNsPerMs;
    batch.first_backoff_ns = 5 * kNsPerMs;
    batch.backoff_max_ns = 20 * kNsPerMs;
    auto otlp = otlp_options(endpoint, {});
    EXPECT_TRUE(otlp);
    otlp->batch = batch;
    auto made = make_spooled_exporter(*otlp, options(), {{{"service.name", Value("t")}}}, clock_);
    EXPECT_TRUE(made) << made.error().message;
    return *std::move(made);
  }
  static Span named(const std::string& name) {
    Span span;
    span.trace_id.bytes[0] = 1;
    span.span_id.bytes[0] = 1;
    span.name = name;
    return span;
  }
  const RealClock clock_;
  const SpanOrigin origin_{.scope = {"scope", "", {}}, .schema_url = "", .resource = {}};
};

TEST_F(SpooledExport, WhatOneRunCouldNotDeliverTheNextOneDoes) {
  {
    const auto dead = exporter("http://127.0.0.1:1", {});
    std::vector<Span> spans = {named("a"), named("b")};
    dead->submit_all(origin_, spans);
    dead->submit(origin_, named("c"));
    EXPECT_TRUE(dead->shutdown(50 * kNsPerMs)) << "kept is not lost";
    const ExporterCounters counters = dead->counters();
    EXPECT_EQ(counters.submitted, 3);
    EXPECT_EQ(counters.pending, 3);
  }
  const auto receiver = RecordingReceiver::start();
  ASSERT_TRUE(receiver);
  const auto alive = exporter((*receiver)->endpoint(), {});
  alive->submit(origin_, named("d"));
  EXPECT_TRUE((*receiver)->wait_for_spans(4, kLong));
  EXPECT_TRUE(alive->shutdown(kLong));
  const ExporterCounters counters = alive->counters();
  EXPECT_EQ(counters.submitted, 4);
  EXPECT_EQ(counters.exported, 4);
  EXPECT_EQ(counters.pending, 0);
  std::vector<std::string> names;
  for (const ResourceSpans& group : (*receiver)->received()) {
    EXPECT_EQ(group.resource.attributes, (Attributes{{"service.name", Value("t")}}));
    for (const ScopeSpans& scope : group.scope_spans) {
      EXPECT_EQ(scope.scope.name, "scope");
      const bool own = !scope.spans.empty() && scope.spans[0].name == "d";
      EXPECT_EQ(says_redelivery(scope.scope), !own) << "a former process may have sent it";
      for (const Span& span : scope.spans) names.push_back(span.name);
    }
  }
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c", "d"}));
}

TEST_F(SpooledExport, TriesAgainForAsLongAsTheReceiverMayComeBackAndGivesUpTheRefused) {
  const auto receiver = RecordingReceiver::start();
  ASSERT_TRUE(receiver);
  constexpr int kUnavailable = 14;
  constexpr int kInvalidArgument = 3;
  (*receiver)->behave({.grpc_code = kUnavailable, .message = "not now"}, 4);
  const auto exporter = this->exporter((*receiver)->endpoint(), {});
  exporter->submit(origin_, named("a"));
  EXPECT_TRUE((*receiver)->wait_for_spans(1, kLong));
  ASSERT_TRUE((*receiver)->wait_for_requests(5, kLong));
  (*receiver)->behave({.grpc_code = kInvalidArgument, .message = "never"}, 1);
  exporter->submit(origin_, named("b"));
  ASSERT_TRUE((*receiver)->wait_for_requests(6, kLong));
  exporter->submit(origin_, named("c"));
  EXPECT_FALSE(exporter->shutdown(kLong));
  const ExporterCounters counters = exporter->counters();
  EXPECT_EQ(counters.retries, 4);
  EXPECT_EQ(counters.exported, 2);
  EXPECT_EQ(counters.failed, 1);
  EXPECT_EQ(counters.pending, 0);
  const TraceBatch received = (*receiver)->received();
  ASSERT_EQ(received.size(), 2u);
  EXPECT_TRUE(says_redelivery(received[0].scope_spans[0].scope)) << "the fifth attempt";
  EXPECT_EQ(received[0].scope_spans[0].scope.attributes.size(), 1u) << "marked once";
  EXPECT_FALSE(says_redelivery(received[1].scope_spans[0].scope)) << "the first";
}

TEST_F(SpooledExport, WhatDoesNotFitIsDroppedAndCounted) {
  const auto otlp = otlp_options("http://127.0.0.1:1", {});
  SpoolOptions small = options();
  small.bytes_max = 400;
  auto made = make_spooled_exporter(*otlp, small, {}, clock_);
  ASSERT_TRUE(made);
  for (int i = 0; i < 10; ++i) (*made)->submit(origin_, named(std::string(80, 'a')));
  const ExporterCounters counters = (*made)->counters();
  EXPECT_GT(counters.dropped, 0);
  EXPECT_EQ(counters.submitted, counters.dropped + counters.pending);
  EXPECT_EQ(counters.last_problem, "the spool is full");
  EXPECT_LE(counters.spool_bytes, 400);
  EXPECT_FALSE((*made)->shutdown(0));
}

}  // namespace
}  // namespace touchstone::telemetry
