// What goes to files when there are too many spans: nothing that is said changes by it.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "conformance/judge.h"
#include "conformance/span_ids.h"
#include "result/result_json.h"
#include "tests/conformance/recorded.h"

namespace touchstone::conformance {
namespace {

using telemetry::Span;

/// SpanIds as a map would do it.
class NaiveIds final {
 public:
  SpanIds::Sighting add(const TraceId& trace, const SpanId& id, uint64_t content) {
    const auto [first, is_new] = first_.try_emplace(id, trace);
    const auto [own, is_own] = content_.try_emplace({trace, id}, content);
    if (is_new) return {};
    if (is_own) return {SpanIds::Seen::kNewButShared, first->second};
    return {own->second == content ? SpanIds::Seen::kDelivered : SpanIds::Seen::kReused,
            first->second};
  }

 private:
  std::map<SpanId, TraceId> first_;
  std::map<std::pair<TraceId, SpanId>, uint64_t> content_;
};

/// Few ids, so that they come again; few in memory, so that runs are merged more than once.
RC_GTEST_PROP(SpanIds, AgreesWithAMapWhateverFitsInMemory, ()) {
  SpanIds ids(*rc::gen::inRange<size_t>(1, 6));
  NaiveIds naive;
  const auto size = *rc::gen::inRange(1, 600);
  const auto numbers =
      *rc::gen::container<std::vector<uint32_t>>(size, rc::gen::arbitrary<uint32_t>());
  for (const uint32_t number : numbers) {
    TraceId trace;
    trace.bytes[3] = static_cast<uint8_t>(1 + number % 3);
    SpanId id;
    id.bytes[0] = static_cast<uint8_t>(number / 3 % 200);
    id.bytes[7] = 1;
    const uint64_t content = number / 600 % 2 * 2;  // its lowest bit is not kept
    ids.prefetch(id);
    const auto seen = ids.add(trace, id, content);
    RC_ASSERT(seen.has_value());
    const SpanIds::Sighting expected = naive.add(trace, id, content);
    RC_ASSERT(seen->seen == expected.seen);
    RC_ASSERT(seen->first == expected.first);
  }
}

/// Whoever chooses span ids may give all spans one.
TEST(SpanIds, OneIdForAllSpansTakesNoLongerThanMany) {
  SpanIds ids(1000);
  SpanId id;
  id.bytes[0] = 1;
  TraceId first;
  first.bytes[15] = 1;
  for (uint32_t i = 0; i < 200'000; ++i) {  // pair by pair it would be 2 * 10^10 comparisons
    TraceId trace = first;
    for (size_t byte = 0; byte < 4; ++byte) trace.bytes[byte] = static_cast<uint8_t>(i >> 8 * byte);
    const auto seen = ids.add(trace, id, i);
    ASSERT_TRUE(seen.has_value());
    ASSERT_EQ(seen->seen, i == 0 ? SpanIds::Seen::kNew : SpanIds::Seen::kNewButShared) << i;
    ASSERT_EQ(seen->first, i == 0 ? TraceId() : first);
  }
}

constexpr char kTree[] = R"(profile: tree
version: "1"
convention: a request and its steps
source: the test
names: {tokens: llm.tokens}
topology: {remote_flag: SHOULD}
spans:
  - type: request
    match: {name: request}
    request: true
    attributes: [{key: llm.tokens, type: int, unit: tokens}, {key: llm.model, type: string}]
    children: {of: [{type: step, max: 3}], layout: apart, tolerance: 1ms}
    relations: [{relation: tokens == step/tokens}]
  - type: step
    match: {name: step}
    parent: [request]
    attributes: [{key: llm.tokens, type: int, unit: tokens}, {key: llm.model, type: string}]
    relations: [{relation: llm.model == parent/llm.model}]
)";

/// Spans that are wrong in every way that only several together can be: twice, with another's id,
/// orphans, second roots, cycles, wrong parents, too many children, overlaps.
telemetry::TraceBatch tangled_spans(int64_t count) {
  telemetry::TraceBatch batch(1);
  batch[0].scope_spans.resize(1);
  std::vector<Span>& spans = batch[0].scope_spans[0].spans;
  uint64_t state = 1;
  const auto random = [&](uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  for (int64_t i = 0; i < count; ++i) {
    if (random(20) == 0 && !spans.empty()) {
      spans.push_back(spans[random(spans.size())]);
      continue;
    }
    Span span;
    const uint64_t trace = random(static_cast<uint64_t>(count) / 8 + 1);
    span.trace_id.bytes = {static_cast<uint8_t>(trace), static_cast<uint8_t>(trace >> 8), 7};
    const auto id_of = [&](uint64_t number) {
      SpanId id;
      id.bytes = {static_cast<uint8_t>(number), static_cast<uint8_t>(trace),
                  static_cast<uint8_t>(trace >> 8), static_cast<uint8_t>(random(50) == 0)};
      return id;
    };
    span.span_id = id_of(1 + random(12));
    if (random(4) > 0) span.parent_span_id = id_of(1 + random(12));
    if (random(100) == 0) span.span_id.bytes = {9};  // of other traces too
    span.flags = static_cast<uint32_t>(random(2) * telemetry::kFlagHasIsRemote);
    span.name = random(3) == 0 ? "request" : random(10) == 0 ? "other" : "step";
    span.start_unix_ns = 1'790'000'000'000'000'000 + static_cast<int64_t>(random(1'000'000'000));
    span.end_unix_ns = span.start_unix_ns + static_cast<int64_t>(random(100'000'000));
    span.attributes = {{"llm.tokens", static_cast<int64_t>(random(3))},
                       {"llm.model", random(2) == 0 ? "a" : "a model with a rather long name"}};
    spans.push_back(std::move(span));
  }
  return batch;
}

std::string report_of(const Evidence& evidence, size_t spans_in_memory) {
  const Result<Profile> tree = parse_profile("tree.yaml", kTree);
  BASE_CHECK(tree.has_value(), tree ? "" : tree.error().message);
  const std::vector<Profile> profiles = {*tree, vllm_v1()};
  JudgeOptions options;
  options.spans_in_memory = spans_in_memory;
  Judge judge(evidence, profiles, options);
  for (const telemetry::TraceBatch& batch : evidence.spans) {
    BASE_CHECK(judge.add(batch).has_value());
  }
  return result::to_json(*judge.finish());
}

TEST(Spill, AReportIsTheSameToTheLastByteWhateverFitsInMemory) {
  Evidence evidence;
  evidence.spans = {tangled_spans(3000), recorded_evidence().spans[0]};
  const std::string in_memory = report_of(evidence, size_t{1} << 30);
  for (const char* check : {"span.id.unique", "topology.orphan", "topology.one_root",
                            "topology.cycle", "topology.remote_flag", "family.parent",
                            "family.children", "family.layout", "family.relation"}) {
    const size_t at = in_memory.find("\"" + std::string(check) + "\"");
    ASSERT_NE(at, std::string::npos) << check;
  }
  for (const size_t spans : {1, 7, 100, 1000}) {
    EXPECT_TRUE(report_of(evidence, spans) == in_memory) << spans << " spans in memory";
  }
}

}  // namespace
}  // namespace touchstone::conformance
