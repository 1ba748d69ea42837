// `touchstone audit`, `profile` and `report` from outside: exit codes, messages, files.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/files.h"
#include "base/sha256.h"
#include "base/text.h"
#include "result/result_json.h"
#include "tests/support/paths.h"

namespace touchstone::conformance {
namespace {

const std::string kSpans = support::source_dir() + "/fixtures/spans/vllm-0.32.0/spans.otlp.jsonl";
const std::string kMetrics = support::source_dir() + "/fixtures/spans/vllm-0.32.0/metrics.txt";

struct Ran {
  int exit_code = -1;
  std::string output;  ///< stdout and stderr together
};

/// `redirect` comes after stderr was joined to what is read, `before` before the program.
Ran run(const std::string& arguments, const std::string& redirect = "",
        const std::string& before = "") {
  const std::string command =
      before + support::touchstone_binary() + " " + arguments + " 2>&1 " + redirect;
  Ran ran;
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[4096];
  for (size_t size = 1; size > 0;) {
    size = fread(buffer, 1, sizeof(buffer), pipe);
    ran.output.append(buffer, size);
  }
  const int status = pclose(pipe);
  ran.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

class AuditCli : public testing::Test {
 protected:
  AuditCli() : directory_(*TemporaryDirectory::make("audit-cli")) {}
  std::string path(const std::string& name) const { return directory_.path() + "/" + name; }
  std::string write(const std::string& name, const std::string& text) const {
    BASE_CHECK(write_file_atomic(path(name), text).has_value(), name);
    return path(name);
  }

 private:
  TemporaryDirectory directory_;
};

TEST_F(AuditCli, TheRecordedVllmPassesAndWritesThreeReports) {
  const Ran ran =
      run("audit --file " + kSpans + " --metrics " + kMetrics + " --output " + path("out"));
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_NE(ran.output.find("PASS"), std::string::npos);
  for (const char* name : {"out/report.html", "out/report.json", "out/junit.xml"}) {
    EXPECT_TRUE(std::filesystem::exists(path(name))) << name;
    EXPECT_NE(ran.output.find(path("out")), std::string::npos);
  }
  const auto report = result::report_from_json("report.json", *read_file(path("out/report.json")));
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->provenance.digests.at(kSpans),
            "9aac2387a9e8425032aa938482448ce5439175bd2d4640456a1f9417f779257f");
}

TEST_F(AuditCli, HowManySpansAreInMemoryChangesNothing) {
  const Ran in_memory = run("audit --file " + kSpans);
  EXPECT_EQ(in_memory.exit_code, 0) << in_memory.output;
  EXPECT_EQ(run("audit --file " + kSpans + " --spans-in-memory 10").output, in_memory.output);
  EXPECT_EQ(run("audit --file " + kSpans + " --spans-in-memory 0").exit_code, 2);
}

TEST_F(AuditCli, WithoutAFolderForTemporaryFilesAFewSpansAreJudgedAndManyAreOneError) {
  const std::string none = "env TMPDIR=" + path("none") + " ";
  EXPECT_EQ(run("audit --file " + kSpans, "", none).exit_code, 0);
  const Ran many = run("audit --file " + kSpans + " --spans-in-memory 10", "", none);
  EXPECT_EQ(many.exit_code, 3) << many.output;
  EXPECT_EQ(many.output.find("touchstone: TMPDIR: "), 0u) << many.output;
  EXPECT_NE(many.output.find("hint: set TMPDIR"), std::string::npos) << many.output;
}

/// Each byte of a file is read once: a pipe is as good, and the digest is of what was judged.
TEST_F(AuditCli, SpansThroughAPipeAreJudgedAndHaveTheirFilesDigest) {
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  const std::string feed = "(cat " + kSpans + " > " + path("pipe") + " &) ; ";
  const Ran ran = run("audit --file " + path("pipe") + " --output " + path("out"), "", feed);
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  const auto report = result::report_from_json("report.json", *read_file(path("out/report.json")));
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->provenance.digests.at(path("pipe")), *file_sha256_hex(kSpans));
}

/// With real files: the profile's own text, its base, and the program that judged.
TEST_F(AuditCli, EveryReportSaysByWhichProfileAndProgramAndAWeakerProfileIsAnother) {
  const std::string yaml = "extends: vllm-v1\nprofile: mine\nversion: \"1\"\n";
  const std::string demand =
      "spans:\n  - type: llm_request\n    attributes: [{key: gen_ai.model.id, type: string}]\n";
  const std::string profile = write("mine.yaml", yaml + demand);
  const auto judged = [&] {
    return run("audit --file " + kSpans + " --profile " + profile + " --output " + path("out"));
  };
  const Ran first = judged();
  EXPECT_EQ(first.exit_code, 1) << first.output;
  const auto digests_of = [&] {
    const auto report =
        result::report_from_json("report.json", *read_file(path("out/report.json")));
    return report ? report->provenance.digests : std::map<std::string, std::string>();
  };
  const auto digests = digests_of();
  const std::string shipped = support::source_dir() + "/conformance/profiles/vllm-v1.yaml";
  const std::map<std::string, std::string> files = {{"profile " + profile, profile},
                                                    {"profile vllm-v1.yaml", shipped},
                                                    {"touchstone", support::touchstone_binary()}};
  const auto html = read_file(path("out/report.html"));
  ASSERT_TRUE(html);
  for (const auto& [name, file] : files) {
    const auto wanted = file_sha256_hex(file);
    ASSERT_TRUE(wanted) << wanted.error().message;
    ASSERT_TRUE(digests.contains(name)) << name << first.output;
    EXPECT_EQ(digests.at(name), *wanted) << name;
    EXPECT_NE(html->find(*wanted), std::string::npos) << name;
    EXPECT_NE(first.output.find(wanted->substr(0, 12)), std::string::npos) << first.output;
  }
  // One demand less lets the same spans pass, and the report shows that it is another profile.
  write("mine.yaml", yaml);
  const Ran weaker = judged();
  EXPECT_EQ(weaker.exit_code, 0) << weaker.output;
  EXPECT_NE(digests_of()["profile " + profile], digests.at("profile " + profile)) << weaker.output;
  EXPECT_EQ(digests_of()["touchstone"], digests.at("touchstone"));
}

TEST_F(AuditCli, AProfileEditedToDemandAModelIdFailsAndNamesTheSpans) {
  std::string yaml = run("profile show vllm-v1").output;
  yaml.insert(yaml.find("      - {key: gen_ai.request.temperature"),
              "      - {key: gen_ai.model.id, type: string}\n");
  const Ran ran = run("audit --file " + kSpans + " --profile " + write("mine.yaml", yaml));
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.output.find("gen_ai.model.id, which is missing"), std::string::npos) << ran.output;
  EXPECT_NE(ran.output.find("span 0ff69eeafe88345d and 71 more"), std::string::npos) << ran.output;
}

TEST_F(AuditCli, ALostSpanFailsWithTheExactNumber) {
  std::string ledger;
  for (int i = 0; i < 3; ++i) {
    ledger += "{\"i\": " + std::to_string(i) +
              ", \"status\": 200, \"trace_id\": \"0000000000000000000000000000000" +
              std::to_string(i + 1) + "\"}\n";
  }
  const Ran ran = run("audit --file " + kSpans + " --ledger " + write("ledger.jsonl", ledger));
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.output.find("3 of 3 owed spans are missing"), std::string::npos) << ran.output;
}

TEST_F(AuditCli, NothingReceivedIsUndecided) {
  const Ran ran = run("audit --file " + write("empty.jsonl", ""));
  EXPECT_EQ(ran.exit_code, 3);
  EXPECT_NE(ran.output.find("UNKNOWN"), std::string::npos) << ran.output;
}

TEST_F(AuditCli, ASpanFileThatEndsInsideALineLostSpansUnlessItIsStillWritten) {
  const std::string text = *read_file(kSpans);
  const std::string cut = write("cut.jsonl", text.substr(0, text.size() - 1000));
  const std::string says = "cut.jsonl:5: ";
  const Ran ran = run("audit --file " + cut);
  EXPECT_EQ(ran.exit_code, 1) << ran.output;
  EXPECT_NE(ran.output.find(says), std::string::npos) << ran.output;
  const Ran live = run("audit --live --file " + cut);
  EXPECT_EQ(live.exit_code, 0) << live.output;
  EXPECT_NE(live.output.find(says), std::string::npos) << live.output;

  ASSERT_EQ(std::system(("gzip -kn " + cut).c_str()), 0);
  const std::string archive = cut + ".gz";
  std::filesystem::resize_file(archive, std::filesystem::file_size(archive) / 2);
  EXPECT_EQ(run("audit --file " + archive).exit_code, 1);
  EXPECT_EQ(run("audit --live --file " + archive).exit_code, 0);

  // Nobody writes on in the middle.
  const size_t first_end = text.find('\n');
  const std::string middle =
      write("middle.jsonl", text.substr(0, first_end - 100) + text.substr(first_end));
  EXPECT_EQ(run("audit --live --file " + middle).exit_code, 1);
}

TEST_F(AuditCli, BadInputGivesOneMessageAndItsExitCode) {
  const std::string bad_ledger = write("bad.jsonl", "{\"i\": \"x\"}\n");
  const std::string bad_profile = write("bad.yaml", "profile: p\ncolour: blue\n");
  const std::string bad_metrics = write("bad.txt", "this is no metric page {\n");
  const std::string torn_ledger = write("torn.jsonl", "{\"i\": 0}\n{\"i\": 1, \"na");
  const std::string same_name =
      write("same.yaml", "extends: vllm-v1\nprofile: vllm-v1\nversion: \"1\"\n");
  const std::string same_spans = path("same.jsonl");
  std::filesystem::create_symlink(kSpans, same_spans);
  const struct {
    std::string arguments;
    int exit_code;
    std::string message;
  } kRows[] = {
      {"audit", 2, "--file"},
      {"audit --file " + path("none.jsonl"), 2, "none.jsonl"},
      {"audit --file " + kSpans + " --profile vllm-v1x", 2, "did you mean \"vllm-v1\"?"},
      {"audit --file " + kSpans + " --profile " + bad_profile, 2, "bad.yaml"},
      {"audit --file " + kSpans + " --ledger " + bad_ledger, 2, "bad.jsonl:1: i: got \"x\""},
      {"audit --file " + kSpans + " --metrics " + bad_metrics, 3, "bad.txt:1"},
      {"audit --file " + kSpans + " --ledger " + torn_ledger, 3, "torn.jsonl:2: not valid JSON"},
      {"audit --file " + kSpans + " --file " + same_spans, 2, "twice, expected each file once"},
      {"audit --file " + kSpans + " --profile vllm-v1 --profile " + same_name, 2,
       "got \"vllm-v1\" twice, from vllm-v1 and "},
      {"audit --file " + kSpans + " --fail-on always", 2, "--fail-on"},
      {"audit --file " + kSpans + " --fromat json", 2, "did you mean `--format`?"},
      {"audit --file " + kSpans + " --output /proc/none", 3, "/proc/none"},
      {"profile", 2, "subcommand"},
      {"profile show nonsense", 2, "expected one of: "},
      {"profile lint " + bad_profile, 2, "bad.yaml:"},
      {"report " + path("none.json"), 2, "none.json"},
      {"report " + bad_profile, 3, "not valid JSON"},
  };
  for (const auto& row : kRows) {
    const Ran ran = run(row.arguments);
    EXPECT_EQ(ran.exit_code, row.exit_code) << row.arguments << "\n" << ran.output;
    EXPECT_NE(ran.output.find(row.message), std::string::npos) << row.arguments << "\n"
                                                               << ran.output;
    EXPECT_LE(split(ran.output, '\n').size(), 4u) << "more than a message: " << ran.output;
  }
}

TEST_F(AuditCli, AFullDiskIsUndecidedWithAMessage) {
  const Ran ran = run("audit --file " + kSpans, "> /dev/full");
  EXPECT_EQ(ran.exit_code, 3);
  EXPECT_NE(ran.output.find("stdout: cannot write: No space left"), std::string::npos)
      << ran.output;
}

TEST_F(AuditCli, LevelsDecideTheExitCode) {
  std::string text = *read_file(kSpans);
  const size_t at = text.find("{\"key\": \"gen_ai.latency.e2e\"");
  text.insert(at, "{\"key\": \"x.y\", \"value\": {\"stringValue\": \"z\"}}, ");
  const std::string file = write("more.jsonl", text);
  EXPECT_EQ(run("audit --file " + file).exit_code, 0);
  EXPECT_EQ(run("audit --fail-on should --file " + file).exit_code, 1);
}

TEST_F(AuditCli, EveryFormatIsPrintedAndReportRendersItAgain) {
  ASSERT_EQ(run("audit --file " + kSpans + " --output " + path("out")).exit_code, 0);
  for (const char* format : {"text", "json", "junit", "html"}) {
    const std::string flags = " --format " + std::string(format);
    const std::string direct = run("audit --file " + kSpans + flags).output;
    const std::string again = run("report " + path("out/report.json") + flags).output;
    EXPECT_EQ(direct, again) << format;
    EXPECT_GT(direct.size(), 500u);
  }
  const Ran written =
      run("report " + path("out/report.json") + " --format html --output " + path("r.html"));
  EXPECT_EQ(written.exit_code, 0);
  EXPECT_EQ(*read_file(path("r.html")), *read_file(path("out/report.html")));
}

TEST_F(AuditCli, EqualInputsGiveEqualBytes) {
  const std::string arguments = "audit --format json --file " + kSpans + " --metrics " + kMetrics;
  EXPECT_EQ(run(arguments).output, run(arguments).output);
}

TEST_F(AuditCli, ProfilesAreListedShownAndChecked) {
  const Ran list = run("profile list");
  EXPECT_EQ(list.exit_code, 0);
  EXPECT_NE(list.output.find("vllm-v1"), std::string::npos);
  EXPECT_NE(list.output.find("0.32.0"), std::string::npos);
  const Ran shown = run("profile show vllm-v1");
  EXPECT_EQ(shown.exit_code, 0);
  const Ran good = run("profile lint " + write("copy.yaml", shown.output));
  EXPECT_EQ(good.exit_code, 0) << good.output;
  EXPECT_NE(good.output.find("good: vllm-v1 0.32.0"), std::string::npos);
}

}  // namespace
}  // namespace touchstone::conformance
