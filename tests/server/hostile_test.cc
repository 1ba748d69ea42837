// The real binary among clients that mean it harm: memory stays under the bound of docs/limits.md,
// /health answers meanwhile, and the server ends cleanly.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <string>
#include <vector>

#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kConnectionBytes = 80 * 1024;
constexpr int64_t kRequestMemory = 512 * kMiB;
constexpr int64_t kModelLen = 512;
constexpr int64_t kTokenBytes = 64 + 24 * 21;  // with --max-logprobs 20 and the sampled one

class Hostile : public ::testing::Test {
 protected:
  void SetUp() override {
    rlimit limit{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ASSERT_TRUE(server_.ready()) << server_.problem();
    start_bytes_ = server_.peak_resident_bytes();
    ASSERT_GT(start_bytes_, 0);
  }

  /// Of docs/limits.md, for so many connections and choices.
  void expect_bounded(int64_t connections, int64_t choices) {
    expect_healthy();
    const int64_t bound = start_bytes_ + connections * kConnectionBytes + kRequestMemory +
                          choices * kModelLen * kTokenBytes;
    const int64_t peak = server_.peak_resident_bytes();
    EXPECT_LE(peak, bound);
    RecordProperty("peak_mib", std::to_string(peak / kMiB));
    RecordProperty("bound_mib", std::to_string(bound / kMiB));
  }
  void expect_healthy() {
    EXPECT_EQ(server_.connect().exchange("GET", "/health").status, 200) << server_.log();
  }
  void TearDown() override {
    expect_healthy();
    EXPECT_EQ(server_.stop(), 0) << server_.log();
  }

  ServerProcess server_{
      {.model = capture_model(),
       .flags = {"--served-model-name", "tiny", "--block-size", "16", "--num-gpu-blocks-override",
                 "4200", "--max-model-len", std::to_string(kModelLen), "--max-request-memory-bytes",
                 std::to_string(kRequestMemory), "--http-write-timeout", "2s",
                 "--disable-uvicorn-access-log"},
       .environment = {}}};
  int64_t start_bytes_ = 0;
};

TEST_F(Hostile, UnfinishedBodiesHoldNoMoreThanTheBudget) {
  std::vector<HttpClient> clients;
  const std::string part(static_cast<size_t>(kMiB), ' ');
  for (int i = 0; i < 16; ++i) {
    clients.push_back(server_.connect());
    clients.back().send(
        "POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 33554432\r\n\r\n");
  }
  for (int sent = 0; sent < 31; ++sent) {
    for (HttpClient& client : clients) client.send(part);  // fails for who was refused
  }
  expect_bounded(16, 0);
}

TEST_F(Hostile, AsManyMistakesAsFitABodyAreOneError) {
  std::string body = R"({"messages":[1)";
  while (body.size() < 800'000) body += ",1";
  const HttpAnswer answer = server_.connect().post("/v1/chat/completions", body + "]}");
  EXPECT_EQ(answer.status, 400);
  EXPECT_LT(answer.body.size(), 10'000u);
  std::string trees = "[";
  while (trees.size() < 30'000'000) trees += "[],";
  const HttpAnswer tree =
      server_.connect().post("/v1/chat/completions", R"({"messages":)" + trees + "[]]}");
  EXPECT_EQ(tree.status, 400) << tree.body.substr(0, 500);
  expect_bounded(2, 0);
}

TEST_F(Hostile, TextOf16MegabytesHoldsUpNobody) {
  const std::string body = R"({"prompt":")" + std::string(16'000'000, ' ') + "\"}";
  const auto tokenize = [&] { return server_.connect(300).post("/tokenize", body).status; };
  std::future<int> first = std::async(std::launch::async, tokenize);
  std::future<int> second = std::async(std::launch::async, tokenize);
  const auto running = [](const std::future<int>& one) {
    return one.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready;
  };
  int healthy = 0;
  while (running(first) || running(second)) {
    expect_healthy();
    healthy += 1;
  }
  EXPECT_GT(healthy, 0);
  for (const int status : {first.get(), second.get()}) {
    EXPECT_TRUE(status == 200 || status == 503) << status;
  }
  expect_bounded(3, 0);
}

TEST_F(Hostile, InventedMethodsLeaveNoTrace) {
  HttpClient client = server_.connect();
  for (int i = 0; i < 200; ++i) {
    std::string batch;
    for (int k = 0; k < 100; ++k) {
      batch += "INVENTED" + std::to_string(i * 100 + k) + " /x HTTP/1.1\r\nhost: x\r\n\r\n";
    }
    ASSERT_TRUE(client.send(batch));
    for (int k = 0; k < 100; ++k) ASSERT_EQ(client.read_answer().status, 404);
  }
  EXPECT_LT(server_.connect().exchange("GET", "/metrics").body.size(), 200'000u);
  expect_bounded(1, 0);
}

TEST_F(Hostile, ChoicesBeyondTheirLimitAreRefusedAndUpToItTheyEnd) {
  const auto body = [](size_t prompts, int n) {
    std::string text =
        R"({"max_tokens":1,"temperature":1,"n":)" + std::to_string(n) + R"(,"prompt":["a")";
    for (size_t i = 1; i < prompts; ++i) text += R"(,"a")";
    return text + "]}";
  };
  EXPECT_EQ(server_.connect().post("/v1/completions", body(8, 16'384)).status, 400);
  EXPECT_EQ(server_.connect().post("/v1/completions", body(1024, 16'384)).status, 400);
  EXPECT_EQ(server_.connect().post("/v1/completions", body(16, 64)).status, 200);
  expect_bounded(1, 1024);
}

TEST_F(Hostile, LogprobsOfManyPromptsAreChargedBeforeTheyAreComputed) {
  const auto body = [](size_t prompts) {
    std::string prompt = "[5";
    for (int i = 1; i < 500; ++i) prompt += ",5";
    prompt += "]";
    std::string text = R"({"max_tokens":1,"prompt_logprobs":20,"prompt":[)" + prompt;
    for (size_t i = 1; i < prompts; ++i) text += "," + prompt;
    return text + "]}";
  };
  const HttpAnswer refused = server_.connect().post("/v1/completions", body(1024));
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.body.find("--max-request-memory-bytes"), std::string::npos) << refused.body;

  std::vector<std::future<int>> answers;
  const std::string fits = body(128);
  for (int i = 0; i < 6; ++i) {
    answers.push_back(std::async(std::launch::async, [&] {
      return server_.connect(300).post("/v1/completions", fits).status;
    }));
  }
  int answered = 0;
  for (std::future<int>& answer : answers) {
    const int status = answer.get();
    EXPECT_TRUE(status == 200 || status == 503) << status;
    answered += status == 200 ? 1 : 0;
  }
  EXPECT_GE(answered, 1);
  EXPECT_LT(answered, 6) << "they do not fit together";
  expect_bounded(7, 128);
}

TEST_F(Hostile, TenThousandIdleConnectionsCostLittle) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const int count = static_cast<int>(std::min<rlim_t>(10'000, limit.rlim_cur - 200));
  std::vector<HttpClient> idle;
  for (int i = 0; i < count; ++i) {
    idle.push_back(server_.connect());
    ASSERT_TRUE(idle.back().connected()) << i;
    ASSERT_TRUE(i % 3 != 0 || idle.back().send("GET /health HT"));
    if (i % 100 == 0) expect_healthy();
  }
  expect_bounded(count, 0);
}

TEST_F(Hostile, ReadersThatNeverReadLoseTheirPlaceToOthers) {
  constexpr int kReaders = 1000;
  const std::string stream =
      R"({"prompt":"To be","max_tokens":500,"ignore_eos":true,"stream":true,"logprobs":20})";
  std::vector<HttpClient> readers;
  for (int i = 0; i < kReaders; ++i) {
    readers.push_back(server_.connect());
    readers.back().set_small_receive_buffer();
    ASSERT_TRUE(readers.back().send(
        request_text("POST", "/v1/completions", stream, {{"content-type", "application/json"}})));
  }
  ASSERT_TRUE(server_.wait_for_metric("vllm:num_requests_running", 128));
  const HttpAnswer answer =
      server_.connect(300).post("/v1/completions", R"({"prompt":"To be","max_tokens":4})");
  EXPECT_EQ(answer.status, 200) << "while nobody reads";
  expect_bounded(kReaders, kReaders);
  EXPECT_TRUE(server_.wait_for_metric("vllm:num_requests_running", 0, 120));
}

}  // namespace
}  // namespace touchstone::testing
