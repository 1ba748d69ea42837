// `touchstone serve --device cuda` and `auto` as a user meets them: with the plugin, without it,
// with a wrong one, with a device that fails. The plugin is the CUDA backend over the emulator.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "tests/support/paths.h"
#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

ServerProcessOptions options(const std::vector<std::string>& flags, const std::string& plugin_path,
                             const std::map<std::string, std::string>& environment = {}) {
  ServerProcessOptions made{
      .model = support::source_dir() + "/fixtures/models/llama3-micro",
      .flags = {"--served-model-name", "m", "--dtype", "float32", "--max-model-len", "128",
                "--max-num-seqs", "4", "--num-gpu-blocks-override", "64", "--block-size", "16",
                "--max-num-batched-tokens", "128"},
      .environment = environment};
  made.flags.insert(made.flags.end(), flags.begin(), flags.end());
  made.environment["TOUCHSTONE_PLUGIN_PATH"] = plugin_path;
  return made;
}

HttpAnswer complete(const ServerProcess& server, int max_tokens) {
  const json body = {{"model", "m"},
                     {"prompt", json::array({11, 42, 7, 300, 5})},
                     {"temperature", 0},
                     {"max_tokens", max_tokens},
                     {"ignore_eos", true}};
  return server.connect().post("/v1/completions", body.dump());
}

std::string text_of(const HttpAnswer& answer) {
  EXPECT_EQ(answer.status, 200) << answer.body;
  const json parsed = json::parse(answer.body, nullptr, false);
  if (parsed.is_discarded() || !parsed.contains("choices")) return answer.body;
  return parsed["choices"][0]["text"];
}

TEST(ServeCuda, ServesTheTextOfTheCpuAndSaysOnWhatDevice) {
  std::vector<std::string> texts;
  for (const char* device : {"cpu", "cuda", "auto"}) {
    const ServerProcess server(
        options({"--device", device, "--async-scheduling"}, TOUCHSTONE_EMULATED_PLUGIN_FOLDER));
    ASSERT_TRUE(server.ready()) << server.problem();
    texts.push_back(text_of(complete(server, 6)));
    if (device == std::string("cpu")) continue;
    EXPECT_THAT(server.log(),
                AllOf(HasSubstr("device: emulated device"), HasSubstr("kernels sm_80+plain")));
  }
  EXPECT_EQ(texts[1], texts[0]);
  EXPECT_EQ(texts[2], texts[0]);
}

TEST(ServeCuda, WithoutThePluginTheFlagIsRefusedAndAutoServesOnTheCpuAndSaysSo) {
  const TemporaryDirectory empty = TemporaryDirectory::make("cuda").value();
  const ServerProcess refused(options({"--device", "cuda"}, empty.path()));
  EXPECT_FALSE(refused.ready());
  EXPECT_THAT(refused.problem(), AllOf(HasSubstr("--device cuda: no backend can run here: cuda: "
                                                 "libtouchstone_cuda.so: not found in " +
                                                 empty.path()),
                                       HasSubstr("scripts/quickstart --cuda")));
  const ServerProcess served(options({}, empty.path()));
  ASSERT_TRUE(served.ready()) << served.problem();
  EXPECT_THAT(served.log(), HasSubstr("--device auto: cpu serves, because cuda: "
                                      "libtouchstone_cuda.so: not found"));
}

TEST(ServeCuda, APluginOfAnotherVersionIsNamedWithBothVersions) {
  const TemporaryDirectory folder = TemporaryDirectory::make("cuda").value();
  std::filesystem::copy_file(TOUCHSTONE_WRONG_ABI_PLUGIN, folder.path() + "/libtouchstone_cuda.so");
  const ServerProcess server(options({"--device", "cuda"}, folder.path()));
  EXPECT_FALSE(server.ready());
  EXPECT_THAT(server.problem(), HasSubstr("libtouchstone_cuda.so: ABI version: got"));
}

TEST(ServeCuda, FlagsOfAGpuAreSaidAloudOnTheCpu) {
  const ServerProcess server(options(
      {"--device", "cpu", "--gpu-memory-utilization", "0.5", "--enforce-eager"}, "/nowhere"));
  ASSERT_TRUE(server.ready()) << server.problem();
  EXPECT_THAT(server.log(), AllOf(HasSubstr("--gpu-memory-utilization: accepted without effect"),
                                  HasSubstr("--enforce-eager: accepted without effect")));
}

TEST(ServeCuda, ADeviceThatFailsGives500AndARecordAndEndsTheProcessWith3) {
  // Loading takes fewer items of the device's queue than this, an answer of 100 tokens more.
  ServerProcess server(options({"--device", "cuda"}, TOUCHSTONE_EMULATED_PLUGIN_FOLDER,
                               {{"EMULATED_FAILS_AT", "600"}}));
  ASSERT_TRUE(server.ready()) << server.problem();
  const HttpAnswer answer = complete(server, 100);
  EXPECT_EQ(answer.status, 500) << answer.body;
  EXPECT_THAT(answer.body, HasSubstr("illegal memory access"));
  EXPECT_EQ(server.wait_for_exit(), 3);
  EXPECT_THAT(server.log(), HasSubstr("engine failed: "));
}

}  // namespace
}  // namespace touchstone::testing
