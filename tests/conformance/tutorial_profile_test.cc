// What a widespread guide promises of every span: a span that its reader makes by hand is held to
// it, and so is a real vLLM, which does not keep it.
#include <gtest/gtest.h>

#include <set>

#include "tests/conformance/recorded.h"

namespace touchstone::conformance {
namespace {

using result::Verdict;
using telemetry::Value;

std::vector<Profile> tutorial_000() {
  Result<Profile> profile = load_profile("tutorial-000");
  EXPECT_TRUE(profile) << profile.error().message;
  return {*std::move(profile)};
}

/// As the guide's local demonstration makes it.
Evidence own_span() {
  telemetry::Span span;
  span.trace_id.bytes[0] = span.span_id.bytes[0] = 1;
  span.name = "llm.generate";
  span.kind = telemetry::SpanKind::kInternal;
  span.start_unix_ns = 1'795'000'000'000'000'000;
  span.end_unix_ns = span.start_unix_ns + 1'000'000;
  span.attributes = {{"gen_ai.system", "vllm"},
                     {"gen_ai.operation.name", "chat"},
                     {"gen_ai.model.id", "facebook/opt-125m"},
                     {"gen_ai.usage.prompt_tokens", 12},
                     {"gen_ai.usage.completion_tokens", 64},
                     {"gen_ai.response.finish_reasons", Value::Array{Value("stop")}}};
  telemetry::ResourceSpans group;
  group.resource.attributes = {{"service.name", "vllm"},
                               {"deployment.region", "hetzner-nbg1-eu"},
                               {"deployment.environment", "production"}};
  group.scope_spans.push_back({{"vllm.inference", "", {}}, "", {span}});
  Evidence evidence;
  evidence.spans = {{group}};
  evidence.now_unix_ns = span.end_unix_ns;
  return evidence;
}

std::set<std::string> missing_keys(const result::Report& report, const char* check) {
  std::set<std::string> missing;
  for (const result::Finding& finding : outcome_of(report, check).findings) {
    missing.insert(finding.context.at("attribute"));
  }
  return missing;
}

TEST(TutorialProfile, HoldsTheReadersOwnSpanToTheList) {
  const result::Report good = judge(own_span(), tutorial_000(), {});
  EXPECT_EQ(good.verdict, Verdict::kPass) << findings_text(good);
  EXPECT_EQ(findings_text(good), "");
  for (const char* key :
       {"gen_ai.model.id", "gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens",
        "gen_ai.response.finish_reasons", "gen_ai.system", "gen_ai.operation.name"}) {
    Evidence evidence = own_span();
    std::erase_if(evidence.spans[0][0].scope_spans[0].spans[0].attributes,
                  [&](const telemetry::KeyValue& item) { return item.key == key; });
    const result::Report report = judge(evidence, tutorial_000(), {});
    EXPECT_EQ(report.verdict, Verdict::kFail) << key;
    EXPECT_EQ(missing_keys(report, "span.attribute.required"), std::set<std::string>{key});
  }
}

TEST(TutorialProfile, SaysWhatARealVllmDoesNotKeep) {
  const result::Report report = judge(recorded_evidence(), tutorial_000(), {});
  EXPECT_EQ(missing_keys(report, "span.attribute.required"),
            (std::set<std::string>{"gen_ai.model.id", "gen_ai.operation.name",
                                   "gen_ai.response.finish_reasons", "gen_ai.system"}));
  EXPECT_EQ(outcome_of(report, "completeness.missing").verdict, Verdict::kPass);
}

}  // namespace
}  // namespace touchstone::conformance
