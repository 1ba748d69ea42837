// A suite's demands on a run that is there: a folder with vLLM's recorded spans.
#include "harness/assess.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "base/files.h"
#include "base/text.h"
#include "harness/check.h"
#include "harness/whole_run.h"
#include "records/ledger.h"
#include "tests/conformance/recorded.h"
#include "tests/support/paths.h"

namespace touchstone::harness {
namespace {

using result::Verdict;
namespace run_files = records::run_files;

constexpr char kSuiteHead[] = R"(schema: 2
name: recorded
subjects: [{attach: {url: "http://127.0.0.1:1"}}]
collector: {config: collector.yaml}
loads: [{workload: load.jsonl}]
)";

class RecordedRun : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::make("touchstone-assess-test");
    ASSERT_TRUE(made);
    folder_ = std::make_unique<TemporaryDirectory>(std::move(*made));
    evidence_ = conformance::recorded_evidence();
    for (const char* file : {"collector.yaml", "load.jsonl"}) write(file, "x");
    std::filesystem::create_directory(folder_->path() + "/run");
    const std::string fixtures = support::source_dir() + "/fixtures/spans/vllm-0.32.0/";
    for (const char* file : {run_files::kSpans, run_files::kMetrics}) {
      std::filesystem::copy_file(fixtures + file, folder_->path() + "/run/" + file);
    }
  }
  std::string write(const std::string& name, const std::string& content) const {
    EXPECT_TRUE(write_file_atomic(folder_->path() + "/" + name, content));
    return folder_->path() + "/" + name;
  }
  /// The run judged by a suite of kSuiteHead and `rest`.
  result::Report judged(const std::string& rest) const {
    std::string ledger;
    for (const auto& entry : *evidence_.ledger) ledger += records::to_json_line(entry) + "\n";
    write(std::string("run/") + run_files::kLedger, ledger);
    const auto run = records::open_run_folder(folder_->path() + "/run");
    EXPECT_TRUE(run) << run.error().message;
    CheckOptions options;
    options.suite = write("suite.yaml", kSuiteHead + rest);
    const auto plan = plan_of_run(*run, options);
    EXPECT_TRUE(plan) << plan.error().message;
    if (!run || !plan) return {};
    const auto report = assess(*run, {.profiles = plan->profiles,
                                      .judge = judge_options(*plan, result::Level::kMust),
                                      .owed = plan->owed,
                                      .simulate = nullptr,
                                      .now_unix_ns = 0});
    EXPECT_TRUE(report) << report.error().message;
    return report ? *report : result::Report();
  }
  std::unique_ptr<TemporaryDirectory> folder_;
  conformance::Evidence evidence_;
};

TEST_F(RecordedRun, TheSuiteSaysWhichShareOfTheRequestsMustBeAnswered) {
  // One of 118 was answered otherwise than the workload expects.
  auto& first = evidence_.ledger->front();
  ASSERT_EQ(first.status, 200);
  first.expect_status = 400;
  const auto verdict = [&](const std::string& rest) {
    return conformance::outcome_of(judged("profiles: [vllm-v1]\n" + rest), "request.answered");
  };
  EXPECT_EQ(verdict("").verdict, Verdict::kFail) << "by default all";
  EXPECT_EQ(verdict("").level, result::Level::kMust);
  EXPECT_EQ(verdict("answered_share: 0.995\n").level, result::Level::kMust);
  EXPECT_EQ(verdict("answered_share: 0.99\n").level, result::Level::kMay);
  EXPECT_EQ(judged("profiles: [vllm-v1]\nanswered_share: 0.995\n").verdict, Verdict::kFail);
  EXPECT_EQ(judged("profiles: [vllm-v1]\nanswered_share: 0.99\n").verdict, Verdict::kPass);
}

TEST_F(RecordedRun, BudgetsAreOfTheSpansOfThePrimaryProfile) {
  auto text = read_file(support::source_dir() + "/conformance/profiles/vllm-v1.yaml");
  ASSERT_TRUE(text);
  // The same numbers read as milliseconds are a thousandth of what vllm-v1 reads.
  const std::string seconds = "unit: s";
  for (size_t at; (at = text->find(seconds)) != std::string::npos;) {
    text->replace(at, seconds.size(), "unit: ms");
  }
  const size_t name = text->find("profile: vllm-v1");
  ASSERT_NE(name, std::string::npos);
  write("ms.yaml", text->replace(name, 16, "profile: ms"));
  const auto budget = [&](const std::string& rest) {
    const result::Report report =
        judged("budgets: [{phase: e2e, quantile: 0.9, at_most: 10ms}]\n" + rest);
    return report.budgets.empty() ? Verdict::kSkip : report.budgets.front().verdict;
  };
  EXPECT_EQ(budget("profiles: [vllm-v1, ./ms.yaml]\n"), Verdict::kFail) << "the first leads";
  EXPECT_EQ(budget("profiles: [vllm-v1, ./ms.yaml]\nprimary: ./ms.yaml\n"), Verdict::kPass);
  EXPECT_EQ(budget("profiles: [./ms.yaml, vllm-v1]\nprimary: vllm-v1\n"), Verdict::kFail);
}

TEST(WholeRun, APartThatAFaultKilledDidNotEndByItself) {
  const auto folder = *TemporaryDirectory::make("touchstone-whole-run");
  const records::RunFolder run{.path = folder.path(), .manifest = {}};
  records::RunManifest manifest;
  EXPECT_EQ(whole_run(run, manifest, {}).verdict, Verdict::kPass);
  manifest.deaths = {{"canary", "signal 9 (Killed)", 7}};
  const std::pair<records::RunFault, Verdict> rows[] = {
      {{"kill:canary@0ms", true, ""}, Verdict::kPass},
      {{"kill:canary@0ms", false, "too late"}, Verdict::kUnknown},
      {{"kill:stable@0ms", true, ""}, Verdict::kUnknown},
      {{"stop:canary@0ms", true, ""}, Verdict::kUnknown},
      {{"no fault", true, ""}, Verdict::kUnknown}};
  for (const auto& [fault, verdict] : rows) {
    manifest.faults = {fault};
    EXPECT_EQ(whole_run(run, manifest, {}).verdict, verdict) << fault.text;
  }
}

TEST(WholeRun, AFileThatIsOwedIsThereOrExcused) {
  const auto folder = *TemporaryDirectory::make("touchstone-whole-run");
  const records::RunFolder run{.path = folder.path(), .manifest = {}};
  records::RunManifest manifest;
  const auto check = whole_run(run, manifest, {"metrics.txt"});
  EXPECT_EQ(check.verdict, Verdict::kUnknown);
  EXPECT_NE(check.reason.find("metrics.txt: is not there"), std::string::npos) << check.reason;
  manifest.miss("metrics.txt", "the server has none");
  EXPECT_EQ(whole_run(run, manifest, {"metrics.txt"}).verdict, Verdict::kPass);
  EXPECT_EQ(manifest.notes.size(), 1u) << "and the reader is told";
}

}  // namespace
}  // namespace touchstone::harness
