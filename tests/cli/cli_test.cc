// The command line as a person meets it: help with an example, typing errors, exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>

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

Answer run(harness::SpawnOptions options) {
  const RealClock clock;
  const harness::Supervision supervision{clock};
  options.name = options.argv.front();
  auto captured = harness::run_and_capture(std::move(options), supervision, kTimeoutNs);
  if (!captured) {
    ADD_FAILURE() << captured.error().message;
    return {};
  }
  return {captured->status.code.value_or(-1), captured->output, captured->errors};
}

/// Variables that the caller may have set say nothing here unless a test sets them.
Answer touchstone(std::vector<std::string> arguments,
                  std::map<std::string, std::string> environment = {}) {
  arguments.insert(arguments.begin(), support::touchstone_binary());
  for (const char* name : {"NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR"}) {
    environment.try_emplace(name, "");
  }
  return run({.argv = std::move(arguments), .environment = std::move(environment)});
}

const std::vector<std::string> kVerbs = {"serve",    "check",     "audit",     "profile", "load",
                                         "simulate", "tap",       "calibrate", "plan",    "sweep",
                                         "workload", "collector", "report",    "bench",   "diff"};

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

TEST(CommandLine, EverySubVerbHasItsOwnExample) {
  const std::vector<std::vector<std::string>> rows = {
      {"collector", "find"},    {"collector", "build"},  {"collector", "validate"},
      {"profile", "list"},      {"profile", "show"},     {"profile", "lint"},
      {"workload", "describe"}, {"workload", "convert"}, {"workload", "generate"},
      {"workload", "scale"},    {"workload", "thin"},    {"workload", "shift"},
      {"workload", "splice"},   {"workload", "formats"}, {"profile", "diff"},
      {"bench", "run"},         {"bench", "compare"},    {"diff", "steps"}};
  for (std::vector<std::string> words : rows) {
    const std::string verb = join(words, " ");
    words.push_back("--help");
    const Answer help = touchstone(words);
    EXPECT_EQ(help.code, 0) << verb;
    EXPECT_THAT(help.out, HasSubstr("Usage: touchstone " + verb)) << verb;
    EXPECT_THAT(help.out, HasSubstr("Example:\n  touchstone " + verb)) << verb;
  }
}

TEST(CommandLine, DiffStepsEndsAsDiffDoes) {
  const auto directory = TemporaryDirectory::make("diff-steps-test");
  ASSERT_TRUE(directory.has_value());
  const auto simulate = [&](const std::string& name, const std::string& seqs) {
    const Answer made =
        touchstone({"simulate", "--requests", "20", "--rate", "50", "--steptime", "constant:5ms",
                    "--num-gpu-blocks-override", "200", "--max-num-seqs", seqs, "--output",
                    directory->path() + "/" + name});
    ASSERT_EQ(made.code, 0) << made.err;
  };
  simulate("a", "8");
  simulate("b", "2");
  const std::string a = directory->path() + "/a";
  EXPECT_EQ(touchstone({"diff", "steps", a, a + "/steps.jsonl"}).code, 0);
  const Answer differ = touchstone({"diff", "steps", a, directory->path() + "/b"});
  EXPECT_EQ(differ.code, 1);
  EXPECT_THAT(differ.out, HasSubstr("config: max_num_seqs: 8 -> 2\n"));
  EXPECT_THAT(differ.out, ::testing::ContainsRegex("step [0-9]+: scheduled requests: "));
  const Answer absent = touchstone({"diff", "steps", a, "/nonexistent"});
  EXPECT_EQ(absent.code, 2);
  EXPECT_THAT(absent.err, HasSubstr("/nonexistent"));
}

TEST(CommandLine, CheckListsEverySuiteAndFault) {
  const Answer list = touchstone({"check", "--list"});
  EXPECT_EQ(list.code, 0) << list.err;
  for (const char* word : {"quickstart", "chaos", "matrix", "vllm", "kill", "slow", "full-disk"}) {
    EXPECT_THAT("\n" + list.out, HasSubstr("\n" + std::string(word) + " ")) << word;
  }
}

TEST(CommandLine, ColoursComeWhenAskedForAndGoWhenRefused) {
  const std::vector<std::string> audit = {
      "audit", "--file", support::source_dir() + "/fixtures/spans/vllm-0.32.0/spans.otlp.jsonl"};
  const struct {
    std::map<std::string, std::string> environment;
    bool coloured;
  } rows[] = {{{}, false},
              {{{"CLICOLOR_FORCE", "1"}}, true},
              {{{"CLICOLOR_FORCE", "0"}}, false},
              {{{"CLICOLOR_FORCE", "1"}, {"NO_COLOR", "1"}}, false},
              {{{"CLICOLOR_FORCE", "1"}, {"NO_COLOR", ""}}, true}};
  for (const auto& row : rows) {
    const Answer answer = touchstone(audit, row.environment);
    EXPECT_EQ(answer.code, 0) << answer.err;
    EXPECT_EQ(answer.out.find('\x1b') != std::string::npos, row.coloured);
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
      {{"load", "--url", "http://127.0.0.1:1", "--requests", "1", "--record", "x",
        "--vanish-percent", "nan"},
       "touchstone: --vanish-percent: got \"nan\", expected a number",
       ""},
      {{"frobnicate"},
       "touchstone: command line: got \"frobnicate\", expected a verb",
       "hint: see `touchstone --help`"},
      {{"check", "--outputt", "x"}, "--outputt", "hint: did you mean `--output`?"},
      {{"serve", "3", "--unkown-flag"},
       "touchstone: serve: got \"--unkown-flag\", expected a flag of this verb",
       "hint: see `touchstone serve --help`"},
      {{"collector", "find", "--formt=json"},
       "touchstone: collector find: got \"--formt\", expected a flag of this verb",
       "hint: did you mean `--format`?"},
      {{"profile", "list", "everything"},
       "touchstone: profile list: got \"everything\", expected nothing more",
       "hint: see `touchstone profile list --help`"},
      {{"check", "no-such-suite.yaml"}, "no-such-suite.yaml: cannot open", ""},
      {{"check", "--profile", "vllm-v9"}, "vllm-v9", "hint:"},
      {{"check", "--fault", "kill-everything@3s"}, "kill-everything", ""},
      {{"check", "--fail-on", "perhaps"}, "perhaps", "hint:"},
      {{"check", "--output", ""}, "--output: got an empty path", ""},
      {{"audit", "--file", "x", "--output", ""}, "--output: got an empty path", ""},
      {{"simulate", "--output", " "}, "--output: got an empty path", ""},
      {{"report", "x", "--output", ""}, "--output: got an empty path", ""},
      {{"load", "--url", "x", "--record", ""}, "--record: got an empty path", ""},
      {{"load", "--url", "http://127.0.0.1:1", "--requests", "1", "--record", "/"},
       "load: --record: /: holds files",
       "choose another folder"},
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

/// Nobody listens there: the trace was read, and the server asked for its models.
TEST(CommandLine, LoadTakesTraces) {
  const auto directory = TemporaryDirectory::make("touchstone-cli");
  const std::string traces = support::source_dir() + "/fixtures/traces/";
  const auto load = [&](const std::string& trace) {
    return touchstone({"load", "--url", "http://127.0.0.1:1", "--workload", traces + trace,
                       "--record", directory->path() + "/run"});
  };
  const Answer spreadsheet = load("burstgpt/sample.csv");
  EXPECT_EQ(spreadsheet.code, 3);
  EXPECT_THAT(spreadsheet.err, HasSubstr("note: left out: 1 request without a prompt"));
  EXPECT_THAT(spreadsheet.err, HasSubstr("GET http://127.0.0.1:1/v1/models"));
  EXPECT_THAT(load("weka").err, HasSubstr("note: 8 turns are sent when they arrive"));
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

TEST(Installation, FindsItsDataFromAnotherFolder) {
  const auto folder = TemporaryDirectory::make("touchstone-install-test");
  ASSERT_TRUE(folder);
  const std::string build =
      std::filesystem::path(support::touchstone_binary()).parent_path().parent_path().string();
  const Answer installed =
      run({.argv = {"cmake", "--install", build, "--prefix", folder->path() + "/usr"}});
  ASSERT_EQ(installed.code, 0) << installed.err;
  const std::string program = folder->path() + "/usr/bin/touchstone";
  // The shipped suite and what it names are read before the Collector is looked for.
  const Answer check = run({.argv = {program, "check", "--collector", "/no/such/collector"},
                            .working_directory = folder->path()});
  EXPECT_THAT(check.err, HasSubstr("/no/such/collector")) << check.out;
  EXPECT_EQ(check.err.find("harness/suites"), std::string::npos) << check.err;
  ASSERT_TRUE(std::filesystem::remove_all(folder->path() + "/usr/share"));
  const Answer bare = run({.argv = {program, "check", "--collector", "/no/such/collector"},
                           .working_directory = folder->path()});
  EXPECT_EQ(bare.code, 2);
  EXPECT_THAT(bare.err, HasSubstr("harness/suites/quickstart.yaml: not found"));
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

TEST(CommandLine, ADryRunWarnsOfAFaultThatTheLoadWillNotLiveToSee) {
  const auto plan_with = [](const std::string& fault) {
    return touchstone({"check", "--dry-run", "--fault", fault});
  };
  const Answer late = plan_with("kill:collector@9999s");
  EXPECT_EQ(late.code, 0) << late.err;
  EXPECT_THAT(late.out, HasSubstr("warning    the fault kill:collector@9999s may come too late"));
  EXPECT_THAT(plan_with("kill:collector@1s").out, testing::Not(HasSubstr("too late")));
}

/// The quickstart suite with other budgets, which nothing is started for.
TEST(CommandLine, ADryRunSaysHowManySamplesABudgetNeedsAndWarnsWhenTheLoadIsTooSmall) {
  auto folder = TemporaryDirectory::make("touchstone-cli-test");
  ASSERT_TRUE(folder);
  const std::string suites = support::source_dir() + "/harness/suites/";
  auto text = read_file(suites + "quickstart.yaml");
  ASSERT_TRUE(text);
  *text = text->substr(0, text->find("budgets:"));
  for (size_t at; (at = text->find("../../")) != std::string::npos;) {
    text->replace(at, 6, support::source_dir() + "/");
  }
  const auto plan_with = [&](const std::string& rest) {
    const std::string suite = folder->path() + "/suite.yaml";
    EXPECT_TRUE(write_file_atomic(suite, *text + rest));
    return touchstone({"check", suite, "--dry-run"});
  };
  const Answer small = plan_with(
      "budgets:\n  - {phase: ttft, quantile: 0.9, at_most: 1s}\n"
      "  - {phase: e2e, quantile: 0.99, at_most: 1s}\n"
      "  - {phase: tpot, quantile: 0.5, at_most: 1s, min_samples: 1000}\n"
      "  - {phase: queue, quantile: 0.01, at_most: 1s}\n");
  EXPECT_EQ(small.code, 0) << small.err;
  EXPECT_THAT(small.out, HasSubstr("budget     ttft p90 at most 1 s: can pass with 29 samples or "
                                   "more, can fail with 2\n"));
  // 60 completed requests with 64 choices, and two whose client hangs up, which may leave a span.
  EXPECT_THAT(small.out, HasSubstr("samples    at most 66, when"));
  EXPECT_THAT(small.out, HasSubstr("warning    the budget of e2e p99 cannot pass: the load gives "
                                   "at most 66 samples, it needs 299\n"));
  EXPECT_THAT(small.out, HasSubstr("warning    the budget of tpot p50 will be undecided: the load "
                                   "gives at most 66 samples, it needs 1,000\n"));
  EXPECT_THAT(small.out, HasSubstr("warning    the budget of queue p1 cannot fail: the load gives "
                                   "at most 66 samples, it needs 299\n"));
  EXPECT_THAT(small.out, testing::Not(HasSubstr("of ttft")));
  const Answer sampled =
      touchstone({"check", folder->path() + "/suite.yaml", "--dry-run", "--profile", "audit"});
  EXPECT_THAT(sampled.out, HasSubstr("samples    at most 68, when")) << "refused ones owe a span";
}

}  // namespace
}  // namespace touchstone::cli
