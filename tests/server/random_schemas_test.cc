// Structured output under schemas of all the kinds that are taken, drawn at random: every answer
// that came through is what its schema asks for, and nearly all do. TOUCHSTONE_SCHEMAS of them.
#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/random.h"
#include "tests/support/json_schema.h"
#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

using nlohmann::json;

class SchemaMaker final {
 public:
  explicit SchemaMaker(uint64_t seed) : random_(seed, "schemas") {}

  json schema() {
    json made = any(3);
    if (random_.chance(1, 4)) {
      made = {{"type", "object"},
              {"properties", {{"first", {{"$ref", "#/$defs/part"}}}, {"rest", any(1)}}},
              {"required", {"first"}},
              {"additionalProperties", false},
              {"$defs", {{"part", any(2)}}}};
    }
    return made;
  }

 private:
  json any(int depth) {
    switch (random_.between(0, depth > 0 ? 11 : 6)) {
      case 0:
        return string();
      case 1:
        return integer();
      case 2:
        return number();
      case 3:
        return {{"type", random_.chance(1, 2) ? "boolean" : "null"}};
      case 4:
        return {{"enum", {"red", 3, nullptr, json{{"a", {1, 2}}}}}};
      case 5:
        return {{"const", random_.chance(1, 2) ? json("fixed \"text\"") : json(17)}};
      case 6:
        return {{"type", {"integer", "null"}}, {"minimum", 0}, {"maximum", 5}};
      case 7:
      case 8:
        return array(depth - 1);
      case 9:
        return {{"anyOf", {any(depth - 1), any(depth - 1)}}};
      case 10:
        return {{"oneOf", {string(), integer(), {{"type", "null"}}}}};
      default:
        return object(depth - 1);
    }
  }

  json string() {
    switch (random_.between(0, 5)) {
      case 0:
        return {{"type", "string"}, {"pattern", "^[a-z]{2,6}-[0-9]{1,3}$"}};
      case 1:
        return {{"type", "string"}, {"format", random_.chance(1, 2) ? "date" : "ipv4"}};
      case 2:
        return {{"type", "string"}, {"enum", {"low", "high", "très haut"}}};
      case 3:
        return {{"type", "string"}, {"minLength", 2}, {"maxLength", 2 + random_.between(0, 8)}};
      default:
        return {{"type", "string"}, {"maxLength", random_.between(0, 12)}};
    }
  }

  // With bounds: the JSON library at hand has no numbers beyond 64 bits to be judged.
  json integer() {
    const int64_t low = random_.between(-200, 200);
    return {{"type", "integer"},
            {random_.chance(1, 2) ? "minimum" : "exclusiveMinimum", low},
            {random_.chance(1, 2) ? "maximum" : "exclusiveMaximum", low + random_.between(2, 500)}};
  }

  json number() {
    return {{"type", "number"},
            {"minimum", -1.5},
            {"maximum", static_cast<double>(random_.between(0, 40)) / 4}};
  }

  json array(int depth) {
    json made = {{"type", "array"}, {"items", any(depth)}};
    const int64_t low = random_.between(0, 2);
    if (random_.chance(1, 2)) made["minItems"] = low;
    made["maxItems"] = low + random_.between(0, 3);
    return made;
  }

  json object(int depth) {
    json made = {{"type", "object"}, {"properties", json::object()}};
    const int64_t count = random_.between(0, 4);
    for (int64_t i = 0; i < count; ++i) {
      const std::string name = "key" + std::to_string(i);
      made["properties"][name] = any(depth);
      if (random_.chance(2, 3)) made["required"].push_back(name);
    }
    if (random_.chance(1, 2)) made["additionalProperties"] = false;
    return made;
  }

  RandomStream random_;
};

class RandomSchemas : public ::testing::Test {
 protected:
  /// What is wrong with the answer to `schema`; empty: nothing. Counts those that are complete.
  std::string ask(const json& schema, int seed) {
    const json body = {
        {"prompt", "To be, or not to be"},
        {"max_tokens", 400},
        {"seed", seed},
        {"structured_outputs", {{"json", schema}, {"disable_any_whitespace", seed % 2 == 0}}}};
    const HttpAnswer answer = server_->connect(120).post("/v1/completions", body.dump());
    if (answer.status != 200) return std::to_string(answer.status) + " " + answer.body;
    const json choice = json::parse(answer.body)["choices"][0];
    if (choice["finish_reason"] != "stop") return {};  // cut off: nothing is promised
    complete_.fetch_add(1);
    const std::string text = choice["text"];
    const json value = json::parse(text, nullptr, false);
    if (value.is_discarded()) return "no JSON: " + text;
    const auto problems = support::problems_with(schema, value);
    return problems.empty() ? "" : problems.front() + ": " + text;
  }

  std::unique_ptr<ServerProcess> server_;
  std::atomic<int> complete_{0};
};

TEST_F(RandomSchemas, EveryCompleteAnswerIsValidAndNearlyAllAreComplete) {
  server_ = std::make_unique<ServerProcess>(ServerProcessOptions{
      .model = capture_model(), .flags = {"--max-num-seqs", "16"}, .environment = {}});
  ASSERT_TRUE(server_->ready()) << server_->problem();
  if (ask({{"type", "null"}}, 0).starts_with("501")) {
    GTEST_SKIP() << "built without xgrammar (scripts/xgrammar)";
  }
  complete_ = 0;
  std::atomic<int> next{0};
  std::vector<std::string> failures(TOUCHSTONE_SCHEMAS);
  std::vector<std::thread> clients;
  for (int client = 0; client < 8; ++client) {
    clients.emplace_back([&] {
      for (int i = next++; i < TOUCHSTONE_SCHEMAS; i = next++) {
        const json schema = SchemaMaker(static_cast<uint64_t>(i)).schema();
        const std::string problem = ask(schema, i);
        if (!problem.empty()) failures[static_cast<size_t>(i)] = problem + "\n" + schema.dump();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  for (int i = 0; i < TOUCHSTONE_SCHEMAS; ++i) {
    EXPECT_EQ(failures[static_cast<size_t>(i)], "") << "schema " << i;
  }
  RecordProperty("complete", complete_.load());
  EXPECT_GE(complete_.load() * 100, TOUCHSTONE_SCHEMAS * 95);
}

}  // namespace
}  // namespace touchstone::testing
