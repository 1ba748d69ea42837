// Grammars that take many seconds to compile: they cost their own clients an error, and nobody else
// anything but time of idle processors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

/// Within every limit that is looked at beforehand; xgrammar takes half a minute and more for it.
std::string dear_grammar(int variant) {
  std::string text = "root ::= r0\n";
  for (int i = 0; i < 3900; ++i) {
    const std::string next = "r" + std::to_string(i + 1);
    text += "r" + std::to_string(i) + " ::= " + next + " " + next + " | \"a\" " + next + "\n";
  }
  return text + "r3900 ::= \"" + std::to_string(variant) + "\"\n";
}

std::string request(const json& outputs, bool stream = false) {
  const json body = {
      {"prompt", "To be"}, {"max_tokens", 4}, {"stream", stream}, {"structured_outputs", outputs}};
  return request_text("POST", "/v1/completions", body.dump(),
                      {{"content-type", "application/json"}});
}

TEST(HostileGrammars, AreGivenUpAndHoldUpNobody) {
  ServerProcess server({.model = capture_model(), .flags = {}, .environment = {}});
  ASSERT_TRUE(server.ready()) << server.problem();
  HttpClient probe = server.connect();
  ASSERT_TRUE(probe.send(request({{"regex", "[ab]"}})));
  if (probe.read_answer().status == 501) {
    GTEST_SKIP() << "built without xgrammar (scripts/xgrammar)";
  }
  std::vector<HttpClient> hostile;
  for (int i = 0; i < 2; ++i) {
    hostile.push_back(server.connect(120));
    ASSERT_TRUE(hostile.back().send(request({{"grammar", dear_grammar(i)}}, i == 1)));
  }
  // Both threads compile. Who needs none is served, and so is who was served before. Gauges are of
  // the latest step.
  HttpClient others = server.connect();
  double waiting = 0;
  for (int i = 0; i < 1000 && waiting != 2; ++i) {
    EXPECT_EQ(others.post("/v1/completions", R"({"prompt":"To be","max_tokens":4})").status, 200);
    waiting = server.metric("vllm:num_requests_waiting");
  }
  ASSERT_EQ(waiting, 2);
  EXPECT_EQ(others.exchange("GET", "/health").status, 200);
  ASSERT_TRUE(others.send(request({{"regex", "[ab]"}})));
  EXPECT_EQ(others.read_answer().status, 200) << "compiled before";
  EXPECT_EQ(server.metric("vllm:num_requests_waiting"), 2) << "they still wait";
  ASSERT_TRUE(others.send(request({{"regex", "[cd]"}})));
  for (HttpClient& client : hostile) {
    const HttpAnswer answer = client.read_answer();
    EXPECT_EQ(answer.status, 400);
    EXPECT_THAT(answer.body, HasSubstr("longer than 10000 ms"));
  }
  EXPECT_EQ(others.read_answer().status, 200) << "on a thread that took a slow one's place";
  EXPECT_EQ(server.stop(), 0) << "although one may still be compiling: " << server.log();
}

}  // namespace
}  // namespace touchstone::testing
