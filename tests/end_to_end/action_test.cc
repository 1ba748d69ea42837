// The GitHub action's step, run as GitHub runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>

#include "base/text.h"
#include "tests/end_to_end/stack.h"
#include "tests/support/paths.h"

namespace touchstone::end_to_end {
namespace {

using ::testing::HasSubstr;

class Action : public Check {
 protected:
  static YAML::Node action() {
    return YAML::LoadFile(support::source_dir() + "/action/action.yml");
  }
  /// The step of action.yml with these inputs; the others have their defaults.
  Ran step(std::map<std::string, std::string> inputs) const {
    const YAML::Node step = action()["runs"]["steps"][0];
    harness::SpawnOptions command{
        .name = "step",
        .argv = {step["shell"].as<std::string>(), "-c", step["run"].as<std::string>()}};
    for (const auto& variable : step["env"]) {
      // ${{ inputs.NAME }}
      const auto words = split(variable.second.as<std::string>(), ' ');
      const std::string name = words.at(1).substr(std::string("inputs.").size());
      const std::string fallback = action()["inputs"][name]["default"].as<std::string>();
      command.environment[variable.first.as<std::string>()] =
          inputs.contains(name) ? inputs[name] : fallback;
    }
    command.environment["GITHUB_ACTION_PATH"] = support::source_dir() + "/action";
    command.environment["GITHUB_WORKSPACE"] = folder_->path();
    command.environment["GITHUB_STEP_SUMMARY"] = path("summary.md");
    command.environment["GITHUB_OUTPUT"] = path("output");
    const auto ran = harness::run_and_capture(std::move(command), supervision_, 180 * kNsPerSecond);
    EXPECT_TRUE(ran) << ran.error().message;
    return {ran->status.code.value_or(-1), ran->output, ran->errors};
  }
  std::string text(const std::string& name) const {
    const auto read = read_file(path(name));
    EXPECT_TRUE(read) << name;
    return read ? *read : "";
  }
};

TEST_F(Action, AGoodSuitePassesWithItsSummaryAndItsSarif) {
  const std::string suite = std::filesystem::path(small_suite()).filename().string();
  const Ran ran = step({{"suite", suite}, {"binary", support::touchstone_binary()}});
  EXPECT_EQ(ran.code, 0) << ran.output << ran.errors;
  EXPECT_THAT(text("summary.md"), HasSubstr("## ✅ check "));
  EXPECT_THAT(text("output"), HasSubstr("verdict=pass\n"));
  const std::string sarif = path("touchstone-report/report.sarif");
  EXPECT_THAT(text("output"), HasSubstr("sarif=" + sarif + "\n"));
  EXPECT_TRUE(std::filesystem::exists(sarif));
}

TEST_F(Action, AMissingSuiteFailsTheJobAndSaysSo) {
  const Ran ran = step({{"suite", "none.yaml"}, {"binary", support::touchstone_binary()}});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.errors, HasSubstr("none.yaml"));
  EXPECT_THAT(text("summary.md"), HasSubstr("exit code 2 and no report"));
  EXPECT_THAT(text("output"), HasSubstr("verdict=unknown\n"));
}

TEST_F(Action, TheExampleWorkflowGivesOnlyInputsThatExist) {
  const YAML::Node workflow = YAML::LoadFile(support::source_dir() + "/examples/ci/telemetry.yml");
  int uses = 0;
  for (const auto& step : workflow["jobs"]["conformance"]["steps"]) {
    const auto name = step["uses"].as<std::string>();
    if (name.find("/touchstone/action@") == std::string::npos) continue;
    ++uses;
    for (const auto& input : step["with"]) {
      EXPECT_TRUE(action()["inputs"][input.first.as<std::string>()]) << input.first;
    }
  }
  EXPECT_EQ(uses, 1);
}

}  // namespace
}  // namespace touchstone::end_to_end
