// One request, shown.
#include "harness/request_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/backends/command.h"
#include "tests/backends/spans.h"
#include "tests/support/paths.h"

namespace touchstone::harness {
namespace {

using ::testing::HasSubstr;

const std::string kRoot = support::source_dir() + "/";

RequestSources sources() { return {{kRoot + kAuditSpans}, kRoot + kAuditLedger}; }

std::vector<std::string> labels(const result::Report& report) {
  std::vector<std::string> found;
  for (const auto& bar : report.waterfalls.at(0).bars) found.push_back(bar.label);
  return found;
}

TEST(RequestView, ShowsWhatTheClientSawAndTheTrace) {
  const std::string trace = "838c0a4ba5849364ee688f540bd417a1";
  for (const std::string& id : {trace, std::string("cmpl-737eb65bd4de34f4")}) {
    const auto report = view_request(id, sources());
    ASSERT_TRUE(report.has_value()) << id << report.error().message;
    ASSERT_EQ(report->waterfalls.at(0).bars.size(), 2u);
    EXPECT_THAT(labels(*report)[0], HasSubstr("client: request"));
    EXPECT_EQ(labels(*report)[1], "llm_request");
    EXPECT_EQ(report->waterfalls[0].title, "trace " + trace);
    EXPECT_THAT(report->waterfalls[0].bars[1].attributes,
                ::testing::Contains(std::pair<std::string, std::string>(
                    "gen_ai.response.finish_reasons", "[\"length\"]")));
  }
}

TEST(RequestView, PutsSpansUnderTheirParents) {
  const auto spans = recorded_spans("fixtures/spans/touchstone-phases/spans.otlp.jsonl");
  const std::string trace = spans[0].scope_spans[0].spans[0].trace_id.hex();
  const auto report =
      view_request(trace, {{kRoot + "fixtures/spans/touchstone-phases/spans.otlp.jsonl"}, ""});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_THAT(report->notes, ::testing::Contains(HasSubstr("No ledger")));
  const auto& bars = report->waterfalls[0].bars;
  ASSERT_GT(bars.size(), 3u);
  EXPECT_EQ(bars[0].depth, 0);
  EXPECT_EQ(bars[0].label, "llm_request");
  EXPECT_EQ(bars[1].depth, 1);
}

TEST(RequestView, SaysWhenNothingHasTheId) {
  const auto report = view_request("cmpl-none", sources());
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().code, ErrorCode::kNotFound);
}

TEST(RequestView, IsPrintedFromARunFolder) {
  const Captured ran = run_touchstone({"report", "--request", "838c0a4ba5849364ee688f540bd417a1",
                                       "--run", kRoot + "fixtures/spans/touchstone-audit"});
  EXPECT_EQ(ran.status.code, 0) << ran.errors;
  EXPECT_THAT(ran.output, HasSubstr("llm_request"));
  EXPECT_THAT(ran.output, HasSubstr("gen_ai.usage.prompt_tokens: 10"));
  EXPECT_EQ(run_touchstone({"report", "--request", "x"}).status.code, 2);
}

}  // namespace
}  // namespace touchstone::harness
