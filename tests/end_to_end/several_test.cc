// Several suites, and every cell of a matrix, each in its folder.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>

#include "tests/end_to_end/stack.h"

namespace touchstone::end_to_end {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class SeveralChecks : public Check {
 protected:
  /// Two subjects, over two transports.
  std::string matrix_suite() const {
    std::string text = replaced(two_subjects_text(), "schema: 2\n",
                                "schema: 2\nmatrix: {protocol: [grpc, http/protobuf]}\n");
    text = std::regex_replace(text, std::regex("collector\\.otlp_grpc"),
                              "collector.otlp_$${matrix.protocol}");
    text = std::regex_replace(
        text, std::regex("\\{OTEL_SERVICE_NAME:"),
        "{OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: \"$${matrix.protocol}\", OTEL_SERVICE_NAME:");
    return write("suite.yaml", text);
  }
};

TEST_F(SeveralChecks, EveryCellRunsInItsFolderAndCanBeJudgedAgain) {
  const std::string suite = matrix_suite();
  const Ran plan = check(suite, {"--dry-run"});
  EXPECT_EQ(plan.code, 0) << plan.errors;
  EXPECT_THAT(plan.output, HasSubstr("cell       protocol=grpc"));
  EXPECT_THAT(plan.output, HasSubstr("cell       protocol=http/protobuf"));
  const Ran ran = check(suite, {"--jobs", "2"});
  EXPECT_EQ(ran.code, 0) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, HasSubstr("2 of 2 passed"));
  for (const char* cell : {"suite.grpc", "suite.http-protobuf"}) {
    EXPECT_TRUE(fs::exists(path(std::string("report/") + cell + "/report.json"))) << cell;
    const Ran again = check("", {"--run", path(std::string("report/") + cell + "/run")});
    EXPECT_EQ(again.code, 0) << again.output << again.errors;
  }
}

TEST_F(SeveralChecks, OneCellAloneAndWhatIsNone) {
  const std::string suite = matrix_suite();
  const Ran one = check(suite, {"--cell", "protocol=http/protobuf", "--dry-run"});
  EXPECT_EQ(one.code, 0) << one.errors;
  EXPECT_THAT(one.output, HasSubstr("${collector.otlp_http/protobuf}"));
  const Ran none = check(suite, {"--cell", "protocol=carrier-pigeon"});
  EXPECT_EQ(none.code, 2);
  EXPECT_THAT(none.errors, HasSubstr("which is none of the suite's matrix"));
}

TEST_F(SeveralChecks, TheWorstOfThemIsTheExitCode) {
  const std::string good = write("good.yaml", small_suite_text(4, 0.3));
  const std::string bad =
      write("bad.yaml", replaced(small_suite_text(10, 0.5), "profiles: [vllm-v1]",
                                 "profiles: [vllm-v1]\nbudgets: [{phase: e2e, quantile: 0.5, "
                                 "at_most: 1ns}]"));
  const Ran ran = check(good, {bad, "--jobs", "2"});
  EXPECT_EQ(ran.code, 1) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, HasSubstr("good  PASS"));
  EXPECT_THAT(ran.output, HasSubstr("bad   FAIL"));
  EXPECT_THAT(ran.output, HasSubstr("1 of 2 passed"));
}

}  // namespace
}  // namespace touchstone::end_to_end
