// LoRA adapters over the real server: each answers under its own name and says in any company what
// it says alone; they come and go while it serves; nothing that is done to their folders harms
// another request.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "records/request_record.h"
#include "tests/support/paths.h"
#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::string fixture_model(const std::string& name) {
  return support::source_dir() + "/fixtures/models/" + name;
}
std::string fixture_adapter(const std::string& name) { return fixture_model("adapters/" + name); }

class Lora : public ::testing::Test {
 protected:
  /// llama3-micro as "base" with two adapters, "patterns" and "attention".
  void start(std::vector<std::string> flags, std::map<std::string, std::string> environment = {}) {
    ServerProcessOptions options{
        .model = fixture_model("llama3-micro"),
        .flags = {"--served-model-name", "base", "--dtype", "float32", "--enable-lora",
                  "--lora-modules", "patterns=" + fixture_adapter("llama3-patterns"),
                  R"({"name": "attention", "path": ")" + fixture_adapter("llama3-attention") +
                      R"(", "base_model_name": "base"})"},
        .environment = std::move(environment)};
    options.flags.insert(options.flags.end(), flags.begin(), flags.end());
    server_ = std::make_unique<ServerProcess>(options);
    ASSERT_TRUE(server_->ready()) << server_->problem();
  }
  void start_with_updates(const std::vector<std::string>& flags = {}) {
    start(flags, {{"VLLM_ALLOW_RUNTIME_LORA_UPDATING", "1"}});
  }

  HttpAnswer ask(const std::string& model, int tokens = 12) {
    return server_->connect().post("/v1/completions", json{{"model", model},
                                                           {"prompt", "The night was dark"},
                                                           {"max_tokens", tokens},
                                                           {"temperature", 0},
                                                           {"ignore_eos", true},
                                                           {"return_token_ids", true}}
                                                          .dump());
  }
  std::vector<int> tokens(const std::string& model) {
    const HttpAnswer answer = ask(model);
    EXPECT_EQ(answer.status, 200) << model << ": " << answer.body;
    const json body = json::parse(answer.body);
    EXPECT_EQ(body["model"], model);
    return body["choices"][0]["token_ids"];
  }
  HttpAnswer load(const std::string& name, const std::string& path, bool in_place = false) {
    json body = {{"lora_name", name}, {"lora_path", path}};
    if (in_place) body["load_inplace"] = true;
    return server_->connect().post("/v1/load_lora_adapter", body.dump());
  }
  HttpAnswer unload(const std::string& name) {
    return server_->connect().post("/v1/unload_lora_adapter", json{{"lora_name", name}}.dump());
  }
  std::vector<std::string> model_names() {
    std::vector<std::string> names;
    const json models = json::parse(server_->connect().exchange("GET", "/v1/models").body);
    for (const json& card : models["data"]) names.push_back(card["id"]);
    return names;
  }

  std::unique_ptr<ServerProcess> server_;
};

TEST_F(Lora, MixedBatchesGiveEachRequestItsOwnTokens) {
  for (const char* scheduling : {"--async-scheduling", "--no-async-scheduling"}) {
    start({"--max-loras", "2", scheduling});
    const std::vector<std::string> names = {"base", "patterns", "attention"};
    std::vector<std::vector<int>> alone;
    for (const std::string& name : names) alone.push_back(tokens(name));
    EXPECT_NE(alone[0], alone[1]);
    EXPECT_NE(alone[0], alone[2]);
    EXPECT_NE(alone[1], alone[2]);
    std::vector<std::vector<int>> together(18);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < together.size(); ++i) {
      threads.emplace_back([&, i] { together[i] = tokens(names[i % names.size()]); });
    }
    for (std::thread& thread : threads) thread.join();
    for (size_t i = 0; i < together.size(); ++i) EXPECT_EQ(together[i], alone[i % 3]) << i;
    EXPECT_EQ(server_->stop(), 0) << server_->log();
  }
}

TEST_F(Lora, ModelCardsRecordsAndMetricsNameThem) {
  start({"--request-log", "@requests.jsonl", "--max-loras", "2"});
  const json models = json::parse(server_->connect().exchange("GET", "/v1/models").body)["data"];
  ASSERT_EQ(models.size(), 3u);
  EXPECT_EQ(models[1]["id"], "patterns");
  EXPECT_EQ(models[1]["root"], fixture_adapter("llama3-patterns"));
  EXPECT_EQ(models[1]["parent"], "base");
  EXPECT_TRUE(models[1]["max_model_len"].is_null());
  EXPECT_EQ(models[2]["id"], "attention");
  tokens("patterns");
  tokens("base");
  const json counted = {{"model", "attention"}, {"prompt", "a b"}};
  EXPECT_EQ(server_->connect().post("/tokenize", counted.dump()).status, 200);
  const json unknown = {{"model", "nobody"}, {"prompt", "a b"}};
  EXPECT_EQ(server_->connect().post("/tokenize", unknown.dump()).status, 404);
  EXPECT_GT(server_->metric("vllm:lora_requests_info",
                            {{"max_lora", "2"}, {"running_lora_adapters", "patterns"}}),
            1.7e9);
  EXPECT_EQ(ask("nobody").status, 404);
  EXPECT_THAT(ask("nobody").body, HasSubstr("Valid aliases: base."));
  EXPECT_EQ(load("x", fixture_adapter("llama3-patterns")).status, 404) << "updates are not allowed";
  EXPECT_EQ(server_->stop(), 0) << server_->log();
  const auto records = records::read_request_records(server_->path("requests.jsonl"));
  ASSERT_TRUE(records) << records.error().message;
  ASSERT_GE(records->size(), 2u);
  EXPECT_EQ((*records)[0].model, "base");
  EXPECT_EQ((*records)[0].adapter, "patterns");
  EXPECT_EQ((*records)[1].adapter, "");
}

TEST_F(Lora, ComeAndGoWithVllmsWords) {
  start_with_updates();
  const std::string folder = fixture_adapter("llama3-attention");
  HttpAnswer answer = load("extra", folder);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "Success: LoRA adapter 'extra' added successfully.");
  EXPECT_THAT(model_names(), ::testing::ElementsAre("base", "patterns", "attention", "extra"));
  EXPECT_EQ(tokens("extra"), tokens("attention"));
  const auto error = [](const HttpAnswer& got) { return json::parse(got.body)["error"]; };
  answer = load("extra", folder);
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(error(answer)["type"], "InvalidUserInput");
  EXPECT_EQ(error(answer)["message"],
            "The lora adapter 'extra' has already been loaded. If you want to load the adapter in "
            "place, set 'load_inplace' to True.");
  EXPECT_EQ(error(load("base", folder))["message"],
            "The lora adapter 'base' conflicts with a served base model.");
  answer = load("gone", "/no/such/folder");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(error(answer)["message"],
            "Loading lora gone failed: No adapter found for /no/such/folder");
  answer = load("other", fixture_adapter("opt-wide"));
  EXPECT_EQ(answer.status, 500);
  EXPECT_THAT(error(answer)["message"].get<std::string>(), HasSubstr("is no module"));
  EXPECT_EQ(error(load("", folder))["message"],
            "Both 'lora_name' and 'lora_path' must be provided.");
  EXPECT_EQ(server_->connect().post("/v1/load_lora_adapter", R"({"lora_name": 7})").status, 400);
  EXPECT_EQ(unload("extra").body, "Success: LoRA adapter 'extra' removed successfully.");
  answer = unload("extra");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(error(answer)["message"], "The lora adapter 'extra' cannot be found.");
  EXPECT_EQ(ask("extra").status, 404);
  EXPECT_EQ(server_->stop(), 0) << server_->log();
}

TEST_F(Lora, WhatIsLoadedInPlaceAnswersLaterRequestsAndSharesNothingWithTheFormerOne) {
  start_with_updates({"--max-loras", "2"});
  const std::vector<int> former = tokens("patterns");
  const std::vector<int> other = tokens("attention");
  std::vector<int> under_way;
  std::thread running([&] {
    const HttpAnswer answer = ask("patterns", 200);
    under_way = json::parse(answer.body)["choices"][0]["token_ids"].get<std::vector<int>>();
  });
  EXPECT_EQ(load("patterns", fixture_adapter("llama3-attention"), true).status, 200);
  EXPECT_EQ(tokens("patterns"), other);
  running.join();
  ASSERT_EQ(under_way.size(), 200u);
  under_way.resize(former.size());
  EXPECT_THAT(under_way, ::testing::AnyOf(former, other)) << "never a mixture of both";
  EXPECT_EQ(server_->stop(), 0) << server_->log();
}

TEST_F(Lora, AThousandLoadsAndUnloadsTakeNoMoreMemoryThanAFew) {
  start_with_updates({"--max-loras", "1", "--max-cpu-loras", "2"});
  const std::string folder = fixture_adapter("llama3-patterns");
  const auto turn = [&](int i) {
    const std::string name = "a" + std::to_string(i);
    ASSERT_EQ(load(name, folder).status, 200);
    if (i % 10 == 0) {
      ASSERT_EQ(ask(name, 2).status, 200);
    }
    if (i % 3 != 0) {  // the others stay
      ASSERT_EQ(unload(name).status, 200);
    }
  };
  for (int i = 0; i < 60; ++i) turn(i);
  const int64_t before = server_->peak_resident_bytes();
  for (int i = 60; i < 1000; ++i) turn(i);
  EXPECT_LT(server_->peak_resident_bytes() - before, int64_t{8} << 20);
  EXPECT_EQ(model_names().size(), 3u + 334);
  EXPECT_EQ(tokens("a0"), tokens("patterns"));
  EXPECT_EQ(server_->stop(), 0) << server_->log();
}

TEST_F(Lora, AFolderThatChangesOrGoesFailsItsOwnRequestsOnly) {
  start_with_updates({"--max-loras", "1"});
  const auto folder = TemporaryDirectory::make("touchstone-lora").value();
  const std::string copy = folder.path() + "/adapter";
  std::filesystem::copy(fixture_adapter("llama3-patterns"), copy);
  ASSERT_EQ(load("copy", copy).status, 200);
  const std::vector<int> said = tokens("copy");
  std::filesystem::remove_all(copy);
  EXPECT_EQ(tokens("copy"), said) << "it is in memory";
  const std::vector<int> other = tokens("attention");  // there is room for one
  const HttpAnswer failed = ask("copy");
  EXPECT_EQ(failed.status, 500);
  EXPECT_THAT(failed.body, HasSubstr("LoRA adapter"));
  EXPECT_EQ(tokens("attention"), other);
  std::filesystem::copy(fixture_adapter("llama3-patterns"), copy);
  EXPECT_EQ(ask("copy").status, 500) << "blocks of it may be in the prefix cache";
  ASSERT_EQ(load("copy", copy, true).status, 200);
  EXPECT_EQ(tokens("copy"), said);
  EXPECT_EQ(server_->stop(), 0) << server_->log();
}

}  // namespace
}  // namespace touchstone::testing
