// What is kept of responses, and for how long.
#include "reference_engine/server/response_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

namespace touchstone::server {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

http::HttpRequest asks(const std::string& target) {
  http::HttpRequest request;
  request.method = "GET";
  request.target = target;
  return request;
}

/// An answer whose events come when they are said.
class Spoken final : public http::PendingReply {
 public:
  struct State {
    std::function<void()> wake;
    std::atomic<int> said{0};
    std::atomic<bool> ended{false};
    std::atomic<bool> dropped{false};
  };
  explicit Spoken(std::shared_ptr<State> state) : state_(std::move(state)) {}
  ~Spoken() override { state_->dropped = true; }
  void set_wake(std::function<void()> wake) override { state_->wake = std::move(wake); }
  std::string take() override {
    std::string text;
    const bool ended = state_->ended;
    for (; taken_ < state_->said; ++taken_) {
      text += "event: e\ndata: {\"n\":" + std::to_string(taken_) + "}\n\n";
    }
    finished_ = ended;
    return text;
  }
  bool finished() const override { return finished_; }
  bool streams() const override { return true; }
  int64_t response_bytes() const override { return 0; }
  http::HttpResponse response() override { return {}; }

 private:
  const std::shared_ptr<State> state_;
  int taken_ = 0;
  bool finished_ = false;
};

class ResponseStoreTest : public ::testing::Test {
 protected:
  static std::string status_of(const http::Reply& reply) {
    return json::parse(reply.response.body)["status"];
  }
  http::Reply start(const std::string& id, const std::shared_ptr<Spoken::State>& state) {
    BackgroundResponse response;
    response.id = id;
    response.queued = R"({"id":")" + id + R"(","status":"queued","output":[]})";
    response.conversation = "[]";
    response.streams = true;
    response.work = std::make_unique<Spoken>(state);
    return store_.run(std::move(response));
  }
  /// Its events so far, once there are `count`.
  static std::string events(http::PendingReply& replay, size_t count) {
    std::string text;
    while (std::count(text.begin(), text.end(), '\n') < static_cast<int64_t>(3 * count)) {
      text += replay.take();
      std::this_thread::yield();
    }
    return text;
  }

  ResponseStore store_{{.responses_max = 2, .bytes_max = 10'000, .running_max = 1}};
};

TEST_F(ResponseStoreTest, KeepsTheNewestWithinItsBounds) {
  for (const char* id : {"a", "b", "c"}) store_.keep(id, R"({"status":"completed"})", "[]");
  EXPECT_EQ(store_.retrieve(asks("/x"), "a").response.status, 404) << "the oldest is forgotten";
  EXPECT_EQ(store_.retrieve(asks("/x"), "b").response.status, 200);
  EXPECT_TRUE(store_.turn("c"));
  store_.keep("d", json{{"text", std::string(9'980, 'x')}}.dump(), "[]");
  EXPECT_FALSE(store_.turn("c")) << "its bytes were needed";
  EXPECT_EQ(store_.cancel("d").response.status, 400);
  EXPECT_EQ(store_.cancel("a").response.status, 404);
}

TEST_F(ResponseStoreTest, EventsAreToldAgainFromAnyOfThemOn) {
  const auto state = std::make_shared<Spoken::State>();
  http::Reply live = start("r", state);
  ASSERT_TRUE(live.pending);
  EXPECT_FALSE(store_.has_room()) << "one is the most";
  state->said = 3;
  state->wake();
  EXPECT_THAT(events(*live.pending, 3), HasSubstr("\"n\":2"));
  EXPECT_FALSE(live.pending->finished());
  state->said = 4;
  state->ended = true;
  state->wake();
  EXPECT_THAT(events(*live.pending, 1), HasSubstr("\"n\":3"));
  while (!live.pending->finished()) live.pending->take();
  EXPECT_TRUE(store_.has_room());
  http::Reply later = store_.retrieve(asks("/x?stream=true&starting_after=1"), "r");
  ASSERT_TRUE(later.pending);
  EXPECT_EQ(later.pending->take(), "event: e\ndata: {\"n\":2}\n\nevent: e\ndata: {\"n\":3}\n\n");
  EXPECT_TRUE(later.pending->finished());
  EXPECT_EQ(store_.retrieve(asks("/x?stream=true&starting_after=x"), "r").response.status, 400);
}

TEST_F(ResponseStoreTest, CancellingDropsTheWorkAndEndsTheEvents) {
  const auto state = std::make_shared<Spoken::State>();
  http::Reply live = start("r", state);
  EXPECT_EQ(status_of(store_.retrieve(asks("/x"), "r")), "queued");
  EXPECT_EQ(status_of(store_.cancel("r")), "cancelled");
  while (!state->dropped) std::this_thread::yield();
  live.pending->take();
  EXPECT_TRUE(live.pending->finished());
  store_.keep("r", R"({"status":"completed"})", "[]");
  EXPECT_EQ(status_of(store_.retrieve(asks("/x"), "r")), "cancelled") << "it stays so";
  EXPECT_EQ(store_.cancel("r").response.status, 400);
}

TEST_F(ResponseStoreTest, TheEndDropsWhatIsBeingMade) {
  const auto state = std::make_shared<Spoken::State>();
  http::Reply live = start("r", state);
  store_.stop();
  EXPECT_TRUE(state->dropped);
  live.pending->take();
  EXPECT_TRUE(live.pending->finished());
}

TEST(ResponseOfEvents, IsThatOfTheLastEvent) {
  EXPECT_EQ(
      response_of_events("event: a\ndata: {\"x\":1}\n\n"
                         "event: response.completed\ndata: {\"response\":{\"id\":\"r\"}}\n\n"),
      R"({"id":"r"})");
  EXPECT_EQ(response_of_events("event: error\ndata: {\"code\":\"500\"}\n\n"), "");
}

}  // namespace
}  // namespace touchstone::server
