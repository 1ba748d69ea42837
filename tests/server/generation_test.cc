#include "reference_engine/server/generation.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>

#include "tests/engine/engine_fixture.h"

namespace touchstone::server {
namespace {

using engine::capture_tokenizer;
using engine::EngineUnderTest;
using engine::KeepingObserver;
using engine::roomy_config;

using nlohmann::json;

api::ApiContext capture_context() {
  api::ApiContext context;
  context.served_model_names = {"tiny"};
  context.tokenizer = &capture_tokenizer();
  context.max_model_len = roomy_config().max_model_len;
  context.vocab_size = capture_tokenizer().vocab_size();
  return context;
}

/// What a connection does: waits to be woken and takes.
class Woken {
 public:
  explicit Woken(http::PendingReply& reply) : reply_(reply) {
    reply.set_wake([this] {
      const std::lock_guard lock(mutex_);
      woken_ = true;
      changed_.notify_all();
    });
  }
  std::string take() {
    std::string text = reply_.take();
    if (!text.empty() || reply_.finished()) return text;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return woken_; });
    woken_ = false;
    return {};
  }

 private:
  http::PendingReply& reply_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
};

api::GenerationRequest eight_choices(bool stream) {
  api::GenerationRequest request;
  request.model = "tiny";
  request.prompts.push_back({.token_ids = capture_tokenizer().encode("Speak, ", true),
                             .text = "Speak, ",
                             .max_tokens = 200});
  request.ignore_eos = true;
  request.seed = 11;
  request.n = 8;
  request.stream = stream;
  return request;
}

GenerationStart start_of(const api::GenerationRequest& request) {
  GenerationStart start;
  start.request = std::make_shared<const api::GenerationRequest>(request);
  start.response_id = "cmpl-test";
  return start;
}

TEST(Generation, ASlowReaderGetsTheSameTextInFewerEvents) {
  const api::ApiContext context = capture_context();
  EngineUnderTest engine({.scheduler = roomy_config()});
  http::Reply full = start_generation(start_of(eight_choices(false)), engine.engine(), context, 16);
  Woken waiting(*full.pending);
  while (!full.pending->finished()) waiting.take();
  const json expected = json::parse(full.pending->response().body);

  http::Reply streamed =
      start_generation(start_of(eight_choices(true)), engine.engine(), context, 16);
  engine.end();  // everything is said; nothing was taken
  const std::string text = streamed.pending->take();
  ASSERT_TRUE(streamed.pending->finished());
  std::map<int, std::string> texts;
  size_t events = 0;
  for (size_t at = 0; at < text.size(); ++events) {
    const size_t end = text.find("\n\n", at);
    const std::string data = text.substr(at + 6, end - at - 6);
    at = end + 2;
    if (data == "[DONE]") continue;
    const json event = json::parse(data);
    const json& choice = event["choices"][0];
    texts[choice["index"].get<int>()] += choice["text"].get<std::string>();
  }
  EXPECT_LT(events, 1200u);  // of 1,600 outputs
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(texts[i], expected["choices"][static_cast<size_t>(i)]["text"].get<std::string>());
  }
}

TEST(Generation, LettingGoOfTheReplyAbortsTheRequest) {
  const api::ApiContext context = capture_context();
  EngineUnderTest engine({.scheduler = roomy_config()});
  http::Reply reply = start_generation(start_of(eight_choices(true)), engine.engine(), context, 16);
  Woken waiting(*reply.pending);
  while (waiting.take().empty()) {
  }
  reply.pending.reset();
  const KeepingObserver& seen = engine.end();
  ASSERT_EQ(seen.records.size(), 8u);
  for (const auto& record : seen.records) EXPECT_EQ(record.outcome, records::Outcome::kAbort);
}

TEST(Generation, AnEngineThatTakesNoMoreIsA503) {
  const api::ApiContext context = capture_context();
  EngineUnderTest engine({.scheduler = roomy_config()});
  engine.end();
  const http::Reply reply =
      start_generation(start_of(eight_choices(true)), engine.engine(), context, 16);
  EXPECT_EQ(reply.pending, nullptr);
  EXPECT_EQ(reply.response.status, 503);
  EXPECT_EQ(json::parse(reply.response.body)["error"]["code"], 503);
}

TEST(Generation, OnlyAFullQueueCountsAsAnOverload) {
  const api::ApiContext context = capture_context();
  int overloads = 0;
  const auto start = [&] {
    GenerationStart made = start_of(eight_choices(true));
    made.on_refusal = [&overloads](const api::ApiError&, engine::Engine::Admission admission) {
      overloads += admission == engine::Engine::Admission::kOverloaded;
    };
    return made;
  };
  EngineUnderTest full({.scheduler = roomy_config(), .max_num_queued_reqs = 7});
  EXPECT_EQ(start_generation(start(), full.engine(), context, 16).response.status, 503);
  EXPECT_EQ(overloads, 1);
  EngineUnderTest closed({.scheduler = roomy_config()});
  closed.end();
  EXPECT_EQ(start_generation(start(), closed.engine(), context, 16).response.status, 503);
  EXPECT_EQ(overloads, 1) << "the end of the server turns nobody away for the queue's sake";
}

}  // namespace
}  // namespace touchstone::server
