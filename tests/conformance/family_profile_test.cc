// A profile of a request with three phases as children: each way in which such a tree can be wrong
// is a mutant, and the profile must find each.
#include <gtest/gtest.h>

#include <functional>

#include "base/clock.h"
#include "conformance/judge.h"
#include "tests/conformance/recorded.h"

namespace touchstone::conformance {
namespace {

using telemetry::Span;

constexpr char kTree[] = R"(profile: inference-tree
version: "1"
convention: a request and its phases
source: the test
names: {tokens: llm.tokens, ttft: llm.ttft}
spans:
  - type: inference.request
    match: {name: inference.request}
    request: true
    expect: {kind: server}
    attributes:
      - {key: llm.tokens, type: int, unit: tokens}
      - {key: llm.ttft, type: double, unit: s, min: 0}
      - {key: llm.model, type: string}
    children:
      of: [{type: inference.queue}, {type: inference.prefill}, {type: inference.decode}]
      others: MUST
      layout: tile
      tolerance: 100us
    relations:
      - {relation: "tokens == inference.decode/tokens"}
      - {relation: "ttft == inference.queue/duration + inference.prefill/duration",
         tolerance: 0.0001}
  - {type: inference.queue, match: {name: inference.queue}, parent: [inference.request]}
  - {type: inference.prefill, match: {name: inference.prefill}, parent: [inference.request]}
  - type: inference.decode
    match: {name: inference.decode}
    parent: [inference.request]
    attributes: [{key: llm.tokens, type: int, unit: tokens}, {key: llm.model, type: string}]
    relations: [{relation: llm.model == parent/llm.model}]
)";

constexpr int64_t kStart = 1'790'000'000 * kNsPerSecond;

Span span(uint8_t trace, uint8_t id, uint8_t parent, const std::string& name, int64_t from_ms,
          int64_t to_ms) {
  Span span;
  span.trace_id.bytes[15] = trace;
  span.span_id.bytes[6] = trace;
  span.span_id.bytes[7] = id;
  span.parent_span_id.bytes[6] = parent == 0 ? 0 : trace;
  span.parent_span_id.bytes[7] = parent;
  span.name = name;
  span.kind = parent == 0 ? telemetry::SpanKind::kServer : telemetry::SpanKind::kInternal;
  span.start_unix_ns = kStart + from_ms * kNsPerMs;
  span.end_unix_ns = kStart + to_ms * kNsPerMs;
  return span;
}

/// Root, queue, prefill, decode of two requests: positions 0 to 3 and 4 to 7.
std::vector<Span> good_spans() {
  std::vector<Span> spans;
  for (uint8_t trace = 1; trace <= 2; ++trace) {
    spans.push_back(span(trace, 1, 0, "inference.request", 0, 100));
    spans.back().attributes = {{"llm.tokens", 8}, {"llm.ttft", 0.03}, {"llm.model", "m"}};
    spans.push_back(span(trace, 2, 1, "inference.queue", 0, 10));
    spans.push_back(span(trace, 3, 1, "inference.prefill", 10, 30));
    spans.push_back(span(trace, 4, 1, "inference.decode", 30, 100));
    spans.back().attributes = {{"llm.tokens", 8}, {"llm.model", "m"}};
  }
  return spans;
}

result::Report judged(std::vector<Span> spans) {
  const Result<Profile> profile = parse_profile("tree.yaml", kTree);
  BASE_CHECK(profile.has_value(), profile ? "" : profile.error().message);
  Evidence evidence;
  telemetry::ResourceSpans group;
  group.scope_spans.resize(1);
  group.scope_spans[0].spans = std::move(spans);
  evidence.spans = {{std::move(group)}};
  return judge(evidence, {*profile}, {});
}

TEST(FamilyProfile, AGoodTreePasses) {
  const result::Report report = judged(good_spans());
  EXPECT_EQ(findings_text(report), "");
  for (const char* id :
       {"family.parent", "family.children", "family.inside", "family.layout", "family.relation"}) {
    EXPECT_EQ(outcome_of(report, id).verdict, result::Verdict::kPass) << id;
  }
}

TEST(FamilyProfile, EveryMutantIsFound) {
  using Spans = std::vector<Span>;
  const struct {
    const char* name;
    const char* killer;
    std::function<void(Spans&)> damage;
  } kMutants[] = {
      {"a child is missing", "family.children", [](Spans& s) { s.erase(s.begin() + 2); }},
      {"the root is missing", "family.parent", [](Spans& s) { s.erase(s.begin()); }},
      {"a child is there twice", "family.children",
       [](Spans& s) {
         s.push_back(s[1]);
         s.back().span_id.bytes[7] = 9;
       }},
      {"a child of the other request", "family.children",
       [](Spans& s) { s[2].trace_id = s[4].trace_id; }},
      {"a grandchild", "family.parent", [](Spans& s) { s[3].parent_span_id = s[2].span_id; }},
      {"a stranger", "family.children",
       [](Spans& s) {
         s.push_back(s[1]);
         s.back().span_id.bytes[7] = 9;
         s.back().name = "inference.secret";
       }},
      {"an overlap", "family.layout", [](Spans& s) { s[2].end_unix_ns += 5 * kNsPerMs; }},
      {"a gap", "family.layout", [](Spans& s) { s[2].start_unix_ns += 5 * kNsPerMs; }},
      {"a child that outlives its parent", "family.inside",
       [](Spans& s) { s[3].end_unix_ns += 5 * kNsPerMs; }},
      {"a child before its parent", "family.inside",
       [](Spans& s) { s[1].start_unix_ns -= 5 * kNsPerMs; }},
      {"milliseconds for seconds", "time.latency_within_span",
       [](Spans& s) { s[0].attributes[1].value = 30.0; }},
      {"a latency that its phases contradict", "family.relation",
       [](Spans& s) { s[0].attributes[1].value = 0.02; }},
      {"other tokens than the root's", "family.relation",
       [](Spans& s) { s[3].attributes[0].value = 7; }},
      {"another model than the root's", "family.relation",
       [](Spans& s) { s[3].attributes[1].value = "n"; }},
  };
  for (const auto& mutant : kMutants) {
    std::vector<Span> spans = good_spans();
    mutant.damage(spans);
    const result::Report report = judged(std::move(spans));
    EXPECT_EQ(outcome_of(report, mutant.killer).verdict, result::Verdict::kFail) << mutant.name;
    EXPECT_EQ(report.verdict, result::Verdict::kFail) << mutant.name;
  }
}

}  // namespace
}  // namespace touchstone::conformance
