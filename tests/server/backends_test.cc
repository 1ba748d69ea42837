// Other architectures and other backends through the whole server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "tests/support/paths.h"
#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::string models() { return support::source_dir() + "/fixtures/models/"; }

/// A greedy completion's answer.
json complete(const ServerProcess& server, const std::string& prompt, int max_tokens) {
  const json body = {{"model", "m"},       {"prompt", prompt},
                     {"temperature", 0},   {"max_tokens", max_tokens},
                     {"ignore_eos", true}, {"skip_special_tokens", false}};
  const HttpAnswer answer = server.connect().post("/v1/completions", body.dump());
  EXPECT_EQ(answer.status, 200) << answer.body;
  return json::parse(answer.body, nullptr, false);
}

TEST(ServeOpt, TextIsThatOfTransformers) {
  const json golden = json::parse(read_file(models() + "goldens/opt-micro.json").value());
  const ServerProcess server({.model = models() + "opt-micro",
                              .flags = {"--dtype", "float32", "--served-model-name", "m"},
                              .environment = {}});
  ASSERT_TRUE(server.ready()) << server.problem();
  EXPECT_THAT(server.log(), HasSubstr("OPTForCausalLM"));
  const json& prompt = golden.at("prompts").back();  // "code": its first tokens are whole letters
  const json answer = complete(server, prompt.at("text"), 8);
  EXPECT_EQ(answer["usage"]["prompt_tokens"], prompt.at("ids").size());
  const std::string text = answer["choices"][0]["text"];
  EXPECT_GE(text.size(), 8U);
  EXPECT_EQ(text, prompt.at("greedy_f32").at("text").get<std::string>().substr(0, text.size()));
}

TEST(ServePlugin, ASharedObjectServesTheTextOfTheLinkedBackend) {
  std::vector<std::string> texts;
  for (const bool plugin : {false, true}) {
    ServerProcessOptions options{.model = models() + "vllm-capture",
                                 .flags = {"--served-model-name", "m"},
                                 .environment = {}};
    if (plugin) {
      options.flags.insert(options.flags.end(),
                           {"--backend-plugin", TOUCHSTONE_CPU_PLUGIN, "--device", "cpu-plugin"});
    }
    const ServerProcess server(options);
    ASSERT_TRUE(server.ready()) << server.problem();
    texts.push_back(complete(server, "To be, or not to be", 24)["choices"][0]["text"]);
  }
  EXPECT_EQ(texts[0], texts[1]);
}

TEST(ServePlugin, AnUnknownDeviceAndAMissingPluginAreNamed) {
  for (const auto& [flags, part] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"--device", "abacus"}, "expected auto or one of cuda, cpu"},
           {{"--backend-plugin", "/no/such.so"}, "/no/such.so: no such backend plugin"}}) {
    const ServerProcess server(
        {.model = models() + "vllm-capture", .flags = flags, .environment = {}});
    EXPECT_FALSE(server.ready());
    EXPECT_THAT(server.problem(), HasSubstr(part));
  }
}

}  // namespace
}  // namespace touchstone::testing
