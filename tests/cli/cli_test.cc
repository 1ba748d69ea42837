// The command line as a person meets it: help with an example, typing errors, exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "base/version.h"
#include "harness/process/capture.h"
#include "tests/support/paths.h"

namespace touchstone::cli {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kTimeoutNs = 60 * kNsPerSecond;

struct Answer {
  int code = -1;
  std::string out;
  std::string err;
};

Answer touchstone(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), support::touchstone_binary());
  const RealClock clock;
  const harness::Supervision supervision{clock};
  auto captured = harness::run_and_capture({.name = "touchstone", .argv = std::move(arguments)},
                                           supervision, kTimeoutNs);
  if (!captured) {
    ADD_FAILURE() << captured.error().message;
    return {};
  }
  return {captured->status.code.value_or(-1), captured->output, captured->errors};
}

const std::vector<std::string> kVerbs = {"serve", "check",    "audit",     "profile",
                                         "load",  "simulate", "collector", "report"};

TEST(CommandLine, HelpNamesEveryVerbAndTheExitCodes) {
  const Answer help = touchstone({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const std::string& verb : kVerbs) EXPECT_THAT(help.out, HasSubstr("\n  " + verb + " "));
  EXPECT_THAT(help.out, HasSubstr("Exit: 0 good, 1 findings, 2 usage, 3 could not decide."));
}

TEST(CommandLine, EveryVerbHasHelpThatEndsWithAnExample) {
  for (const std::string& verb : kVerbs) {
    const Answer help = touchstone({verb, "--help"});
    EXPECT_EQ(help.code, 0) << verb;
    EXPECT_THAT(help.out, HasSubstr("Example:\n  touchstone " + verb)) << verb;
    EXPECT_EQ(help.err, "") << verb;
  }
}

TEST(CommandLine, VersionIsTheBuilds) {
  EXPECT_EQ(touchstone({"--version"}).out, std::string("touchstone ") + kVersion + "\n");
}

TEST(CommandLine, MistakesAreOneMessageAHintAndExitTwo) {
  struct Row {
    std::vector<std::string> arguments;
    std::string message;
    std::string hint;
  };
  const std::vector<Row> rows = {
      {{}, "touchstone: command line: no verb was given", "hint: see `touchstone --help`"},
      {{"srve"}, "touchstone: command line: got \"srve\", expected a verb", "`serve`"},
      {{"frobnicate"},
       "touchstone: command line: got \"frobnicate\", expected a verb",
       "hint: see `touchstone --help`"},
      {{"check", "--outputt", "x"}, "--outputt", "hint: did you mean `--output`?"},
      {{"check", "no-such-suite.yaml"}, "no-such-suite.yaml: cannot open", ""},
      {{"check", "--profile", "vllm-v9"}, "vllm-v9", "hint:"},
      {{"check", "--fault", "kill-everything@3s"}, "kill-everything", ""},
      {{"check", "--fail-on", "perhaps"}, "perhaps", "hint:"},
      {{"audit", "--file", "no-such-file.jsonl"}, "no-such-file.jsonl: cannot open", ""},
      {{"audit"}, "--file", "hint:"},
      {{"simulate", "--workload", "no-such.jsonl"}, "--steptime: got none", "constant:20ms"},
      {{"simulate", "--workload", "no-such.jsonl", "--steptime", "constant:20ms",
        "--num-gpu-blocks-override", "100"},
       "no-such.jsonl: cannot open",
       ""},
      {{"serve", "no-such-folder"}, "no-such-folder", ""},
      {{"serve", "m", "--tensor-parallel-size", "2"}, "tensor-parallel-size", ""},
      {{"report", "no-such.json"}, "no-such.json", ""},
      {{"profile", "show", "vllm-v9"}, "vllm-v9", ""},
  };
  for (const Row& row : rows) {
    const std::string typed = join(row.arguments, " ");
    const Answer answer = touchstone(row.arguments);
    EXPECT_EQ(answer.code, 2) << typed << "\n" << answer.err;
    EXPECT_THAT(answer.err, HasSubstr("touchstone: ")) << typed;
    EXPECT_THAT(answer.err, HasSubstr(row.message)) << typed;
    EXPECT_THAT(answer.err, HasSubstr(row.hint)) << typed;
    EXPECT_EQ(answer.out, "") << typed;
    EXPECT_LE(std::count(answer.err.begin(), answer.err.end(), '\n'), 3) << answer.err;
  }
}

TEST(CommandLine, AnEmptyFileOfSpansIsNeverAPass) {
  const auto folder = TemporaryDirectory::make("touchstone-cli-test");
  ASSERT_TRUE(folder);
  const std::string file = folder->path() + "/spans.jsonl";
  ASSERT_TRUE(write_file_atomic(file, ""));
  const Answer answer = touchstone({"audit", "--file", file});
  EXPECT_EQ(answer.code, 3) << answer.out << answer.err;
  EXPECT_THAT(answer.out, HasSubstr("UNKNOWN"));
}

TEST(CommandLine, EqualRunsPrintEqualBytes) {
  const std::vector<std::string> audit = {
      "audit", "--file", support::source_dir() + "/fixtures/spans/vllm-0.32.0/spans.otlp.jsonl",
      "--format", "json"};
  const Answer first = touchstone(audit);
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_FALSE(first.out.empty());
  EXPECT_EQ(first.out, touchstone(audit).out);
}

}  // namespace
}  // namespace touchstone::cli
