// The phases dialect: children that tile vLLM's span, whatever happened to the request.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "telemetry/dialects/phase_tiles.h"
#include "telemetry/dialects/vllm_span.h"

namespace touchstone::telemetry {
namespace {

using records::Outcome;
using records::RequestRecord;

RequestRecord two_chunks() {
  RequestRecord record;
  record.request_id = "cmpl-x-0";
  record.arrival_unix_ns = 1'000'000;
  record.arrival_ns = 100;
  record.queued_ns = 110;
  record.first_scheduled_ns = 130;
  record.prefill_chunks = {{130, 150, 32}, {155, 180, 8}};
  record.first_token_ns = 180;
  record.last_token_ns = 250;
  record.finished_ns = 252;
  record.detokenize_ns = 7;
  record.prompt_tokens = 40;
  record.completion_tokens = 8;
  record.outcome = Outcome::kLength;
  return record;
}

std::vector<Span> spans_of(const RequestRecord& record) {
  SpanIds ids(7);
  std::vector<Span> spans;
  phases_dialect().make({})->append_spans(record, ids, spans);
  return spans;
}

/// "queue 110-130", by start; those of the root, or of the span at `parent`.
std::vector<std::string> children_of(const std::vector<Span>& spans, const Span& parent) {
  std::vector<std::string> found;
  for (const Span& span : spans) {
    if (span.parent_span_id != parent.span_id) continue;
    EXPECT_EQ(span.trace_id, parent.trace_id);
    EXPECT_EQ(span.kind, SpanKind::kInternal);
    found.push_back(span.name + " " + std::to_string(span.start_unix_ns - 999'900) + "-" +
                    std::to_string(span.end_unix_ns - 999'900));
  }
  return found;
}

using Names = std::vector<std::string>;

TEST(PhasesDialect, IsVllmsSpanWithChildrenThatTileIt) {
  const RequestRecord record = two_chunks();
  const std::vector<Span> spans = spans_of(record);
  SpanIds ids(7);
  Span root = vllm_span(record, ids);
  root.events = spans.at(0).events;
  EXPECT_EQ(spans[0], root);
  EXPECT_EQ(children_of(spans, spans[0]),
            (Names{"frontend 100-110", "queue 110-130", "prefill 130-155", "prefill 155-180",
                   "decode 180-250", "frontend 250-252"}));
  Names kernels;
  for (const Span& span : spans) {
    for (const std::string& child : children_of(spans, span)) {
      if (child.starts_with("kernel")) kernels.push_back(span.name + ": " + child);
    }
    if (span.name != "prefill") continue;
    const bool first = span.start_unix_ns == 1'000'030;
    EXPECT_EQ(*find(span.attributes, "touchstone.prefill.tokens")->integer(), first ? 32 : 8);
    EXPECT_EQ(*find(span.attributes, "touchstone.prefill.chunk")->integer(), first ? 0 : 1);
  }
  EXPECT_EQ(kernels,
            (Names{"prefill: kernel_execution 130-150", "prefill: kernel_execution 155-180",
                   "decode: kernel_execution 180-250"}));
  ASSERT_EQ(spans[0].events.size(), 2u);
  EXPECT_EQ(spans[0].events[0].name, "first_token");
  EXPECT_EQ(spans[0].events[0].time_unix_ns, 1'000'080);
  EXPECT_EQ(spans[0].events[1].name, "detokenize");
  EXPECT_EQ(*find(spans[0].events[1].attributes, "touchstone.detokenize.duration")->number(), 7e-9);
}

TEST(PhasesDialect, PreemptionsStandWhereTheyWere) {
  RequestRecord record = two_chunks();
  // Preempted while it decodes, computed again in one chunk, and then decoding once more.
  record.preempted = {{200, 220}};
  record.prefill_chunks.push_back({220, 230, 44});
  std::vector<Span> spans = spans_of(record);
  EXPECT_EQ(children_of(spans, spans[0]),
            (Names{"frontend 100-110", "queue 110-130", "prefill 130-155", "prefill 155-180",
                   "decode 180-200", "preempted 200-220", "prefill 220-230", "decode 230-250",
                   "frontend 250-252"}));
  // Between two chunks of its prompt.
  record = two_chunks();
  record.preempted = {{151, 154}};
  spans = spans_of(record);
  EXPECT_EQ(children_of(spans, spans[0]),
            (Names{"frontend 100-110", "queue 110-130", "prefill 130-151", "preempted 151-154",
                   "prefill 154-180", "decode 180-250", "frontend 250-252"}));
}

TEST(PhasesDialect, AChunkPlannedWhileTheOneBeforeRanStartsAtItsEnd) {
  RequestRecord record = two_chunks();
  record.prefill_chunks = {{130, 160, 32}, {140, 180, 8}};
  const std::vector<Span> spans = spans_of(record);
  EXPECT_EQ(children_of(spans, spans[0]),
            (Names{"frontend 100-110", "queue 110-130", "prefill 130-160", "prefill 160-180",
                   "decode 180-250", "frontend 250-252"}));
}

TEST(PhasesDialect, HasSpansWhereVllmHas) {
  RequestRecord record = two_chunks();
  for (const Outcome outcome : {Outcome::kAbort, Outcome::kRefused}) {
    record.outcome = outcome;
    EXPECT_TRUE(spans_of(record).empty());
  }
  record.outcome = Outcome::kStop;
  record.trace = records::TraceContext{};
  EXPECT_TRUE(spans_of(record).empty()) << "the caller wants no span";
  record.trace->flags = 1;
  record.trace->trace_id.bytes[0] = 3;
  record.trace->parent_span_id.bytes[0] = 4;
  const std::vector<Span> spans = spans_of(record);
  EXPECT_EQ(spans.size(), 10u);
  EXPECT_EQ(spans[0].parent_span_id, record.trace->parent_span_id);
}

TEST(PhasesDialect, ARequestThatFailedShowsHowFarItCame) {
  RequestRecord record;
  record.outcome = Outcome::kError;
  record.arrival_unix_ns = 1'000'000;
  record.arrival_ns = 100;
  record.finished_ns = 190;
  std::vector<Span> spans = spans_of(record);
  EXPECT_EQ(children_of(spans, spans[0]), (Names{"frontend 100-190"}));
  record.queued_ns = 110;
  spans = spans_of(record);
  EXPECT_EQ(children_of(spans, spans[0]),
            (Names{"frontend 100-110", "queue 110-190", "frontend 190-190"}));
  record.first_scheduled_ns = 130;
  record.prefill_chunks = {{130, 0, 32}};  // the step did not end
  spans = spans_of(record);
  EXPECT_EQ(children_of(spans, spans[0]),
            (Names{"frontend 100-110", "queue 110-130", "prefill 130-190", "frontend 190-190"}));
}

RC_GTEST_PROP(PhasesDialect, TilesAnyLifeWithoutGapOrOverlap, ()) {
  RequestRecord record;
  int64_t now = *rc::gen::inRange<int64_t>(0, 1000);
  const auto later = [&] { return now += *rc::gen::inRange<int64_t>(0, 50); };
  record.arrival_ns = now;
  record.queued_ns = later();
  record.first_scheduled_ns = later();
  const int turns = *rc::gen::inRange(1, 6);
  for (int i = 0; i < turns; ++i) {
    const int64_t start = now;
    record.prefill_chunks.push_back({start, later(), 8});
    if (*rc::gen::arbitrary<bool>()) continue;
    if (!record.first_token_ns) record.first_token_ns = now;
    later();
    if (!*rc::gen::arbitrary<bool>()) continue;
    const int64_t gone = now;
    record.preempted.push_back({gone, later()});
  }
  if (!record.first_token_ns) record.first_token_ns = now;
  record.last_token_ns = later();
  record.finished_ns = later();
  record.outcome = *rc::gen::element(Outcome::kStop, Outcome::kError);
  const std::vector<Phase> phases = phases_of(record);
  int64_t at = record.arrival_ns;
  int64_t chunks = 0;
  for (const Phase& phase : phases) {
    RC_ASSERT(phase.start_ns == at);
    RC_ASSERT(phase.end_ns >= at);
    RC_ASSERT(phase.execution_end_ns >= phase.start_ns && phase.execution_end_ns <= phase.end_ns);
    chunks += phase.kind == Phase::Kind::kPrefill;
    at = phase.end_ns;
  }
  RC_ASSERT(at == record.finished_ns);
  RC_ASSERT(chunks == static_cast<int64_t>(record.prefill_chunks.size()));
}

}  // namespace
}  // namespace touchstone::telemetry
