// The shipped suite on a real vLLM 0.32.0, and what each profile says of the run that it leaves:
// docs/vllm-findings.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "harness/process/capture.h"
#include "records/run_folder.h"
#include "tests/support/paths.h"

namespace touchstone {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The first start compiles for minutes; a deadline that only a hang reaches.
constexpr int64_t kHang = 1800 * kNsPerSecond;

bool is_on_the_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  for (const std::string& folder : split(path == nullptr ? "" : path, ':')) {
    if (::access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

harness::Captured touchstone(std::vector<std::string> arguments) {
  static const RealClock clock;
  arguments.insert(arguments.begin(), support::touchstone_binary());
  auto ran = harness::run_and_capture({.name = "touchstone", .argv = std::move(arguments)},
                                      harness::Supervision{clock}, kHang);
  EXPECT_TRUE(ran) << ran.error().message;
  return ran ? std::move(*ran) : harness::Captured{};
}

/// One run for all tests.
class Vllm : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!is_on_the_path("vllm")) return;
    auto made = TemporaryDirectory::make("touchstone-vllm");
    ASSERT_TRUE(made);
    folder_ = new TemporaryDirectory(std::move(*made));
    checked_ = touchstone({"check", support::source_dir() + "/harness/suites/vllm.yaml", "--output",
                           folder_->path() + "/report"});
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }
  void SetUp() override {
    if (folder_ == nullptr) GTEST_SKIP() << "no vllm on the PATH: see scripts/vllm";
  }

  static std::string run_file(const std::string& name) {
    return folder_->path() + "/report/run/" + name;
  }
  static harness::Captured audit(const std::string& profile) {
    return touchstone({"audit", "--format", "json", "--profile", profile, "--file",
                       run_file(records::run_files::kSpans), "--ledger",
                       run_file(records::run_files::kLedger), "--metrics",
                       run_file(records::run_files::kMetrics)});
  }

  static TemporaryDirectory* folder_;
  static harness::Captured checked_;
};

TemporaryDirectory* Vllm::folder_ = nullptr;
harness::Captured Vllm::checked_;

TEST_F(Vllm, PassesTheSuiteWithEverySpanOwedFound) {
  EXPECT_EQ(checked_.status.code, 0) << checked_.output << checked_.errors;
  EXPECT_THAT(checked_.output, HasSubstr("check vllm  PASS"));
  const auto text = read_file(folder_->path() + "/report/report.json");
  ASSERT_TRUE(text) << text.error().message;
  const auto report = nlohmann::json::parse(*text);
  int64_t passed = 0;
  for (const auto& check : report.at("checks")) passed += check.at("verdict") == "pass";
  EXPECT_GE(passed, 56);
}

TEST_F(Vllm, ProfilesOfWhatItIsPass) {
  for (const char* profile :
       {"vllm-v1", "metrics-vllm", "privacy", "resource", "residency", "delivery"}) {
    const auto ran = audit(profile);
    EXPECT_EQ(ran.status.code, 0) << profile << ran.output << ran.errors;
  }
}

TEST_F(Vllm, ProfilesOfWhatItIsNotNameWhatItLacks) {
  const struct {
    const char* profile;
    std::vector<std::string> lacking;
  } rows[] = {
      {"audit",
       {"gen_ai.model.id", "gen_ai.system", "gen_ai.operation.name", "gen_ai.request.model",
        "gen_ai.response.model", "gen_ai.response.finish_reasons"}},
      {"tutorial-000",
       {"gen_ai.model.id", "gen_ai.system", "gen_ai.operation.name",
        "gen_ai.response.finish_reasons"}},
      {"vllm-v0",
       {"gen_ai.response.model", "gen_ai.usage.num_sequences", "gen_ai.request.temperature"}},
  };
  for (const auto& row : rows) {
    const auto ran = audit(row.profile);
    EXPECT_EQ(ran.status.code, 1) << row.profile << ran.errors;
    for (const std::string& key : row.lacking) {
      EXPECT_THAT(ran.output, HasSubstr("MUST carry " + key + ", which is missing")) << row.profile;
    }
    EXPECT_THAT(ran.output, Not(HasSubstr("gen_ai.usage.prompt_tokens, which is missing")));
  }
  const auto http = audit("http");
  EXPECT_EQ(http.status.code, 1) << http.output << http.errors;
  EXPECT_THAT(http.output, HasSubstr("http.server"));
  const auto genai = audit("genai");
  EXPECT_EQ(genai.status.code, 1) << genai.output << genai.errors;
  EXPECT_THAT(genai.output, HasSubstr("gen_ai_server_request_duration_seconds"));
}

}  // namespace
}  // namespace touchstone
