// A server that is killed at any moment loses no span of a request that it answered.
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/mutex.h"
#include "base/random.h"
#include "harness/process/ports.h"
#include "tests/support/recording_receiver.h"
#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

using nlohmann::json;

std::set<std::string> request_ids(const telemetry::TraceBatch& batch) {
  std::set<std::string> ids;
  for (const auto& group : batch) {
    for (const auto& scope : group.scope_spans) {
      for (const auto& span : scope.spans) {
        ids.insert(*telemetry::find(span.attributes, "gen_ai.request.id")->string());
      }
    }
  }
  return ids;
}

TEST(Spool, AnsweredRequestsHaveTheirSpansWheneverTheServerIsKilled) {
  constexpr int kKills = 12;
  const auto folder = TemporaryDirectory::make("spool");
  ASSERT_TRUE(folder);
  harness::PortReservation ports;
  const auto port = ports.take();
  ASSERT_TRUE(port);
  const auto start = [&] {
    return ServerProcess(
        {.model = capture_model(),
         .flags = {"--served-model-name", "tiny", "--otlp-spool", folder->path() + "/spool",
                   "--otlp-traces-endpoint", "http://127.0.0.1:" + std::to_string(*port)},
         .environment = {{"OTEL_BSP_SCHEDULE_DELAY", "10"}}});
  };
  RandomStream random(1, "kills");
  Mutex mutex;
  std::set<std::string> answered;
  for (int i = 0; i < kKills; ++i) {
    // Every other time something takes the spans, and dies with the server.
    std::unique_ptr<RecordingReceiver> receiver;
    if (i % 2 == 1) {
      auto made = RecordingReceiver::start(*port);
      ASSERT_TRUE(made) << made.error().message;
      receiver = *std::move(made);
      receiver->behave({.grpc_code = 14, .message = "not yet"}, 1'000'000);
    }
    ServerProcess server = start();
    ASSERT_TRUE(server.ready()) << server.problem();
    std::atomic<int> left = 1 + static_cast<int>(random.below(20));
    std::vector<std::thread> clients;
    for (int c = 0; c < 3; ++c) {
      clients.emplace_back([&] {
        while (left > 0) {
          HttpClient client = server.connect();
          const std::string body =
              R"({"model": "tiny", "prompt": "To be", "max_tokens": 4, "ignore_eos": true})";
          if (!client.send(request_text("POST", "/v1/completions", body,
                                        {{"content-type", "application/json"}}))) {
            return;
          }
          const HttpAnswer answer = client.read_answer();
          const json parsed = json::parse(answer.body, nullptr, false);
          if (answer.status != 200 || parsed.is_discarded()) return;
          {
            const MutexLock lock(mutex);
            answered.insert(parsed.at("id").get<std::string>() + "-0");
          }
          // The instant at which an answer is whole is one of those at which it dies.
          if (--left == 0) server.signal(SIGKILL);
        }
      });
    }
    for (std::thread& client : clients) client.join();
    EXPECT_FALSE(server.wait_for_exit()) << "it ended by itself";
  }
  EXPECT_GE(answered.size(), static_cast<size_t>(kKills));
  const auto receiver = RecordingReceiver::start(*port);
  ASSERT_TRUE(receiver) << receiver.error().message;
  ServerProcess server = start();
  ASSERT_TRUE(server.ready()) << server.problem();
  EXPECT_TRUE(server.wait_for_metric("touchstone_spans_pending", 0)) << server.log();
  EXPECT_EQ(server.stop(), 0) << server.log();
  const std::set<std::string> found = request_ids((*receiver)->received());
  for (const std::string& id : answered) EXPECT_TRUE(found.contains(id)) << id;
}

}  // namespace
}  // namespace touchstone::testing
