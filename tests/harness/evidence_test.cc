#include "harness/evidence.h"

#include <gtest/gtest.h>

#include <memory>

#include "base/files.h"

namespace touchstone::harness {
namespace {

constexpr char kLine[] =
    R"({"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{"name":"s"},"spans":[)"
    R"({"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","name":"n",)"
    R"("kind":2,"startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]})";

class RunFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::make("touchstone-evidence-test");
    ASSERT_TRUE(made);
    folder_ = std::make_unique<TemporaryDirectory>(std::move(*made));
  }
  void write(const std::string& name, const std::string& content) const {
    ASSERT_TRUE(write_file_atomic(folder_->path() + "/" + name, content));
  }
  Result<conformance::Evidence> read() const {
    const auto run = records::open_run_folder(folder_->path());
    if (!run) return run.error();
    auto evidence = evidence_of_run(*run, 7);
    if (!evidence) return evidence;
    RETURN_IF_ERROR(
        read_run_spans(*run, *evidence, [&](const telemetry::TraceBatch& batch) -> Status {
          evidence->spans.push_back(batch);
          return {};
        }));
    return evidence;
  }
  std::unique_ptr<TemporaryDirectory> folder_;
};

TEST_F(RunFolder, AnEmptyOneHasNoEvidence) {
  const auto evidence = read();
  ASSERT_TRUE(evidence) << evidence.error().message;
  EXPECT_TRUE(evidence->spans.empty());
  EXPECT_FALSE(evidence->ledger);
  EXPECT_FALSE(evidence->metrics);
  EXPECT_FALSE(evidence->collector_metrics);
  EXPECT_EQ(evidence->now_unix_ns, 7);
}

TEST_F(RunFolder, RotatedPartsOfTheSpanFileAreRead) {
  write("spans.otlp.jsonl", std::string(kLine) + "\n");
  write("spans.otlp-2026-11-21T12-00-00.000-size.jsonl", std::string(kLine) + "\n");
  const auto evidence = read();
  ASSERT_TRUE(evidence);
  EXPECT_EQ(evidence->spans.size(), 2u);
}

TEST_F(RunFolder, ATruncatedSpanFileIsAProblemAndItsGoodLinesCount) {
  write("spans.otlp.jsonl", std::string(kLine) + "\n" + std::string(kLine).substr(0, 100));
  const auto evidence = read();
  ASSERT_TRUE(evidence);
  ASSERT_EQ(evidence->spans.size(), 1u);
  EXPECT_EQ(evidence->spans[0].size(), 1u);
  ASSERT_EQ(evidence->span_problems.size(), 1u);
  EXPECT_NE(evidence->span_problems[0].find("spans.otlp.jsonl:2"), std::string::npos)
      << evidence->span_problems[0];
}

TEST_F(RunFolder, ThePagesOfSeveralSubjectsAreOneAndEqualSeriesAreSummed) {
  const std::string head = "# TYPE vllm:request_success counter\n";
  write("metrics.a.txt", head + "vllm:request_success_total{model_name=\"x\"} 3\n");
  write("metrics.b.txt", head + "vllm:request_success_total{model_name=\"x\"} 4\n" +
                             "vllm:request_success_total{model_name=\"y\"} 5\n");
  const auto evidence = read();
  ASSERT_TRUE(evidence && evidence->metrics);
  EXPECT_EQ(evidence->metrics->value("vllm:request_success_total", {{"model_name", "x"}}), 7);
  EXPECT_EQ(evidence->metrics->value("vllm:request_success_total", {{"model_name", "y"}}), 5);
}

TEST_F(RunFolder, AProfileBesideTheRunIsFoundFromAnyFolder) {
  write("own.yaml", "profile: 1\n");
  const auto run = records::open_run_folder(folder_->path());
  ASSERT_TRUE(run);
  EXPECT_EQ(profile_of_run(*run, "own.yaml"), folder_->path() + "/own.yaml");
  EXPECT_EQ(profile_of_run(*run, "elsewhere.yaml"), "elsewhere.yaml");
  EXPECT_EQ(profile_of_run(*run, "vllm-v1"), "vllm-v1");
}

TEST_F(RunFolder, ABrokenLedgerIsAnError) {
  write("requests.jsonl", "{\"i\": 0}\n{");
  const auto evidence = read();
  ASSERT_FALSE(evidence);
  EXPECT_NE(evidence.error().message.find("requests.jsonl"), std::string::npos);
}

}  // namespace
}  // namespace touchstone::harness
