// vLLM's command line: every flag of 0.32.0 is known, the config file, the environment, and the
// document made of the tables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "harness/process/capture.h"
#include "tests/support/paths.h"
#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

harness::Captured run_serve(const std::vector<std::string>& arguments,
                            const std::map<std::string, std::string>& environment = {}) {
  RealClock clock;
  harness::SpawnOptions spawn;
  spawn.argv = {support::touchstone_binary(), "serve"};
  spawn.argv.insert(spawn.argv.end(), arguments.begin(), arguments.end());
  spawn.environment = environment;
  auto captured = harness::run_and_capture(std::move(spawn), {.clock = clock}, 30 * kNsPerSecond);
  EXPECT_TRUE(captured) << captured.error().message;
  return captured ? *captured : harness::Captured{};
}

/// What serve says before it looks for the model, which is not there.
std::string said(std::vector<std::string> flags,
                 const std::map<std::string, std::string>& environment = {}) {
  flags.insert(flags.begin(), "/no/such/model");
  return run_serve(flags, environment).errors;
}

TEST(Flags, EveryFlagOfVllmIsKnown) {
  const auto names = read_file(support::source_dir() + "/fixtures/vllm-0.32.0/flags.txt");
  ASSERT_TRUE(names);
  const std::string document = run_serve({"--compatibility"}).output;
  int count = 0;
  for (const std::string& name : split(*names, '\n')) {
    if (name.empty()) continue;
    ++count;
    const std::string off = "--no-" + name.substr(std::min<size_t>(name.size(), 2));
    EXPECT_TRUE(document.find("`" + name + "`") != std::string::npos ||
                document.find("`" + off + "`") != std::string::npos)
        << name;
  }
  EXPECT_GT(count, 300);
}

TEST(Flags, TheDocumentIsWhatTheProgramSays) {
  const std::string path = support::source_dir() + "/docs/compatibility.md";
  const std::string made = run_serve({"--compatibility"}).output;
  if (std::getenv("TOUCHSTONE_UPDATE_DOCS") != nullptr) {
    ASSERT_TRUE(write_file_atomic(path, made));
  }
  const auto written = read_file(path);
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_EQ(*written, made) << "touchstone serve --compatibility > docs/compatibility.md";
}

TEST(Flags, SpellingsOfVllmAreUnderstood) {
  EXPECT_THAT(said({"-tp", "2"}), HasSubstr("--tensor-parallel-size: not implemented"));
  EXPECT_THAT(said({"-tp=1"}), HasSubstr("--tensor-parallel-size: accepted without effect"));
  EXPECT_THAT(said({"-O3"}), HasSubstr("--optimization-level: accepted without effect"));
  EXPECT_THAT(said({"--trust_remote_code"}), HasSubstr("--trust-remote-code: accepted"));
  EXPECT_THAT(said({"--compilation-config.level", "3"}),
              HasSubstr("--compilation-config: accepted without effect"));
  EXPECT_THAT(said({"--structured-outputs-config.backend", "outlines"}),
              HasSubstr("backend: got \"outlines\""));
  EXPECT_THAT(said({"--no-enable-expert-parallel", "--no-enable-sleep-mode"}),
              AllOf(Not(HasSubstr("accepted")), HasSubstr("no such model folder")));
  EXPECT_THAT(said({"--no-scheduler-reserve-full-isl"}),
              AllOf(Not(HasSubstr("not implemented")), HasSubstr("no such model folder")));
  EXPECT_THAT(said({"--disable-log-requests"}), HasSubstr("accepted without effect"));
}

TEST(Flags, AConfigFileHoldsFlagsAndTheCommandLineGoesBeforeIt) {
  auto folder = TemporaryDirectory::make("touchstone-config");
  ASSERT_TRUE(folder);
  const std::string path = folder->path() + "/serve.yaml";
  ASSERT_TRUE(write_file_atomic(path,
                                "model: /no/such/model\n"
                                "served-model-name: [a, b]\n"
                                "tensor_parallel_size: 2\n"
                                "enable-prefix-caching: false\n"
                                "trust-remote-code: true\n"
                                "compilation-config:\n  level: 3\n"));
  EXPECT_THAT(run_serve({"--config", path}).errors, HasSubstr("--tensor-parallel-size: not impl"));
  EXPECT_THAT(
      run_serve({"--config=" + path, "-tp", "1"}).errors,
      AllOf(HasSubstr("--trust-remote-code: accepted"), HasSubstr("--compilation-config: accepted"),
            HasSubstr("--tensor-parallel-size: accepted"), HasSubstr("/no/such/model")));
  ASSERT_TRUE(write_file_atomic(path, "model: /from/file\n"));
  EXPECT_THAT(run_serve({"--config", path}).errors, HasSubstr("/from/file"));
  EXPECT_THAT(run_serve({"/from/words", "--config", path}).errors, HasSubstr("/from/words"));
  ASSERT_TRUE(write_file_atomic(path, "modell: x\n"));
  const harness::Captured unknown = run_serve({"--config", path});
  EXPECT_EQ(unknown.status.code, 2);
  EXPECT_THAT(unknown.errors, HasSubstr("serve.yaml:1: modell: expected the name of a flag"));
  EXPECT_THAT(run_serve({"--config", "/no/such.yaml"}).errors, HasSubstr("--config: "));
}

TEST(Flags, VariablesWithoutEffectAreTold) {
  EXPECT_THAT(said({}, {{"VLLM_USE_V1", "1"}}), HasSubstr("VLLM_USE_V1: this variable has no"));
  EXPECT_THAT(said({"--fail-on-environ-validation"}, {{"VLLM_USE_V1", "1"}}),
              HasSubstr("--fail-on-environ-validation: got a variable"));
  EXPECT_THAT(said({}, {{"VLLM_MAX_STOP_STRINGS", "x"}}), HasSubstr("VLLM_MAX_STOP_STRINGS: got"));
}

TEST(Flags, AModelOfTheHubIsLookedForInTheCache) {
  auto folder = TemporaryDirectory::make("touchstone-hub");
  ASSERT_TRUE(folder);
  const harness::Captured run = run_serve({"facebook/opt-125m"}, {{"HF_HOME", folder->path()}});
  EXPECT_EQ(run.status.code, 2);
  EXPECT_THAT(run.errors, AllOf(HasSubstr(folder->path() + "/hub"),
                                HasSubstr("hf download facebook/opt-125m")));
}

}  // namespace
}  // namespace touchstone::testing
