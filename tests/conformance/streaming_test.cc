// The judge sees spans batch by batch: neither their order nor their batches change what it says,
// and what it keeps of a span is small.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/files.h"
#include "conformance/evidence_reader.h"
#include "tests/conformance/recorded.h"
#include "tests/support/paths.h"

namespace touchstone::conformance {
namespace {

using telemetry::ResourceSpans;
using telemetry::TraceBatch;

/// One group for each span of the evidence.
std::vector<ResourceSpans> single_spans(const Evidence& evidence) {
  std::vector<ResourceSpans> groups;
  for (const TraceBatch& batch : evidence.spans) {
    for (const ResourceSpans& group : batch) {
      for (const telemetry::ScopeSpans& scoped : group.scope_spans) {
        for (const telemetry::Span& span : scoped.spans) {
          ResourceSpans single{group.resource, group.schema_url, {}};
          single.scope_spans.push_back({scoped.scope, scoped.schema_url, {span}});
          groups.push_back(std::move(single));
        }
      }
    }
  }
  return groups;
}

/// Verdict, examined, count and level of everything, without the places.
std::string essence(const result::Report& report) {
  std::string text = report.summary + "\n";
  for (const result::CheckOutcome& check : report.checks) {
    std::map<std::string, int64_t> counts;
    for (const result::Finding& finding : check.findings) {
      counts[finding.subject + finding.expected + to_string(finding.level)] += finding.count;
    }
    text += check.id + " " + to_string(check.verdict) + " " + std::to_string(check.examined) + "\n";
    for (const auto& [what, count] : counts) text += what + " " + std::to_string(count) + "\n";
  }
  for (const result::CoverageRow& row : report.coverage) {
    text += row.attribute + " " + std::to_string(row.present) + "\n";
  }
  for (const result::Waterfall& waterfall : report.waterfalls) text += waterfall.title + "\n";
  return text;
}

/// The recording with damage of several kinds.
Evidence damaged() {
  Evidence evidence = recorded_evidence();
  std::vector<telemetry::Span>& spans = evidence.spans[0][0].scope_spans[0].spans;
  spans[0].kind = telemetry::SpanKind::kClient;
  spans[1].parent_span_id = {};
  spans[2].attributes.push_back({"x.y", 1});
  spans[3].name = "other";
  spans.push_back(spans[4]);
  spans[5].trace_id.bytes[0] ^= 1;
  spans[6].attributes[1].value = 100.0;
  return evidence;
}

RC_GTEST_PROP(Streaming, OrderAndBatchesChangeNothing, ()) {
  static const Evidence kEvidence = damaged();
  static const std::vector<Profile> kProfiles = {vllm_v1()};
  static const std::string kExpected = essence(judge(kEvidence, kProfiles, {}));
  std::vector<ResourceSpans> groups = single_spans(kEvidence);
  for (size_t i = groups.size() - 1; i > 0; --i) {
    std::swap(groups[i], groups[*rc::gen::inRange<size_t>(0, i + 1)]);
  }
  Judge judge(kEvidence, kProfiles, {});
  while (!groups.empty()) {
    const auto size = *rc::gen::inRange<size_t>(1, 20);
    TraceBatch batch;
    for (size_t i = 0; i < size && !groups.empty(); ++i) {
      batch.push_back(std::move(groups.back()));
      groups.pop_back();
    }
    RC_ASSERT(judge.add(batch).has_value());
  }
  RC_ASSERT(essence(*judge.finish()) == kExpected);
}

RC_GTEST_PROP(Streaming, TheOrderOfAttributesChangesNothing, ()) {
  static const std::vector<Profile> kProfiles = {vllm_v1()};
  Evidence evidence = damaged();
  std::vector<telemetry::Span>& spans = evidence.spans[0][0].scope_spans[0].spans;
  spans[7].attributes.push_back(spans[7].attributes[2]);  // a key of the profile twice
  spans[8].attributes.push_back({"gen_ai.prompt.0", "forbidden"});
  spans[9].attributes.insert(spans[9].attributes.end(), {{"x.y", 1}, {"x.y", 1}});
  static const std::string kExpected = essence(judge(evidence, kProfiles, {}));
  for (telemetry::Span& span : spans) {
    if (&span == &spans[4] || span.span_id == spans[4].span_id) continue;  // the same span again
    telemetry::Attributes& attributes = span.attributes;
    for (size_t i = attributes.size(); i > 1; --i) {
      std::swap(attributes[i - 1], attributes[*rc::gen::inRange<size_t>(0, i)]);
    }
  }
  RC_ASSERT(essence(judge(evidence, kProfiles, {})) == kExpected);
}

TEST(Streaming, FilesGiveTheReportOfTheSpansInMemory) {
  const std::string spans = support::source_dir() + "/fixtures/spans/vllm-0.32.0/spans.otlp.jsonl";
  EvidencePaths paths;
  paths.spans = {spans};
  const auto judged = judge_files(paths, 0, {vllm_v1()}, {});
  ASSERT_TRUE(judged.has_value()) << judged.error().message;
  EXPECT_EQ(judged->spans, 72);
  Evidence evidence = recorded_evidence();
  evidence.ledger.reset();
  evidence.metrics.reset();
  EXPECT_EQ(essence(judged->report), essence(judge(evidence, {vllm_v1()}, {})));
}

TEST(Streaming, WhatCannotBeReadAndWhatIsNotJudgedIsSaid) {
  auto folder = TemporaryDirectory::make("touchstone-streaming-test");
  ASSERT_TRUE(folder.has_value());
  const std::string path = folder->path() + "/spans.jsonl";
  std::string text = "{\"resourceMetrics\": []}\n";
  for (int i = 0; i < 1500; ++i) text += "{\n";
  ASSERT_TRUE(write_file_atomic(path, text));
  EvidencePaths paths;
  paths.spans = {path};
  const auto judged = judge_files(paths, 0, {vllm_v1()}, {});
  ASSERT_TRUE(judged.has_value());
  const result::CheckOutcome& check = outcome_of(judged->report, "input.readable");
  EXPECT_EQ(check.examined, 1500);
  std::string notes;
  for (const std::string& note : judged->report.notes) notes += note + "\n";
  EXPECT_NE(notes.find("1 lines of the span input hold metrics or logs"), std::string::npos);
}

TEST(Streaming, WhatIsKeptOfLatenciesDoesNotGrow) {
  const Profile profile = vllm_v1();
  const CompiledProfile compiled(profile);
  PhaseSamples samples(compiled);
  telemetry::Span span;
  span.name = "llm_request";
  span.attributes = {{"gen_ai.latency.e2e", 1.0}};
  SpanView view;
  view.span = &span;
  const int64_t spans = 3 * static_cast<int64_t>(PhaseSamples::kSpansMax);
  for (int64_t i = 0; i < spans; ++i) {
    for (size_t byte = 0; byte < 8; ++byte) {
      span.span_id.bytes[byte] = static_cast<uint8_t>(i >> (8 * byte));
    }
    span.attributes[0].value = static_cast<double>(i);
    view.set_type(&compiled.types()[0]);
    samples.add(view);
  }
  EXPECT_EQ(samples.spans(), spans);
  std::vector<double> kept = samples.of("e2e");
  ASSERT_EQ(kept.size(), PhaseSamples::kSpansMax);
  // A uniform sample: its median lies where that of all does, give or take.
  std::nth_element(kept.begin(), kept.begin() + kept.size() / 2, kept.end());
  EXPECT_NEAR(kept[kept.size() / 2], static_cast<double>(spans) / 2,
              static_cast<double>(spans) * 0.01);
}

}  // namespace
}  // namespace touchstone::conformance
