// What the phases dialect makes passes its profile, and each defect in the tiling is found.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "base/clock.h"
#include "telemetry/dialects/dialect.h"
#include "telemetry/resource.h"
#include "tests/conformance/recorded.h"

namespace touchstone::conformance {
namespace {

using telemetry::Span;
using Spans = std::vector<Span>;

constexpr int64_t kStart = 1'790'000'000 * kNsPerSecond;

/// Two requests with two chunks each; the second is preempted while it decodes.
Spans good_spans() {
  telemetry::SpanIds ids(7);
  Spans spans;
  for (int i = 0; i < 2; ++i) {
    records::RequestRecord record;
    record.request_id = "cmpl-" + std::to_string(i) + "-0";
    record.arrival_unix_ns = kStart;
    record.queued_ns = 10 * kNsPerMs;
    record.first_scheduled_ns = 20 * kNsPerMs;
    record.prefill_chunks = {{20 * kNsPerMs, 30 * kNsPerMs, 32}, {31 * kNsPerMs, 40 * kNsPerMs, 8}};
    record.first_token_ns = 40 * kNsPerMs;
    if (i == 1) {
      record.preempted = {{60 * kNsPerMs, 70 * kNsPerMs}};
      record.prefill_chunks.push_back({70 * kNsPerMs, 80 * kNsPerMs, 44});
    }
    record.last_token_ns = 98 * kNsPerMs;
    record.finished_ns = 100 * kNsPerMs;
    record.detokenize_ns = kNsPerMs;
    record.prompt_tokens = 40;
    record.completion_tokens = 8;
    record.max_tokens = 8;
    record.top_p = 1;
    record.outcome = records::Outcome::kLength;
    telemetry::phases_dialect().make({})->append_spans(record, ids, spans);
  }
  return spans;
}

result::Report judged(Spans spans) {
  const Result<Profile> profile = load_profile("phases");
  BASE_CHECK(profile.has_value(), profile ? "" : profile.error().message);
  Evidence evidence;
  telemetry::ResourceSpans group;
  group.resource =
      telemetry::make_vllm_resource({"id", 1, {{"OTEL_SERVICE_NAME", "vllm"}}}).resource;
  group.scope_spans.resize(1);
  group.scope_spans[0].scope = telemetry::phases_dialect().make({})->origin().scope;
  group.scope_spans[0].spans = std::move(spans);
  evidence.spans = {{std::move(group)}};
  return judge(evidence, {*profile}, {});
}

/// The `number`th span with that name.
Span& named(Spans& spans, const std::string& name, int number = 0) {
  for (Span& span : spans) {
    if (span.name == name && number-- == 0) return span;
  }
  BASE_CHECK(false, "no span ", name);
  return spans[0];
}

void remove(Spans& spans, const std::string& name) {
  const SpanId id = named(spans, name).span_id;
  std::erase_if(spans, [&](const Span& span) { return span.span_id == id; });
}

TEST(PhasesProfile, WhatTheDialectMakesPasses) {
  const result::Report report = judged(good_spans());
  EXPECT_EQ(findings_text(report), "");
  for (const char* id :
       {"family.parent", "family.children", "family.inside", "family.layout", "family.relation"}) {
    EXPECT_EQ(outcome_of(report, id).verdict, result::Verdict::kPass) << id;
  }
}

TEST(PhasesProfile, EveryMissingSpanIsFound) {
  const Spans good = good_spans();
  for (size_t i = 0; i < good.size(); ++i) {
    if (good[i].name == "llm_request") continue;  // completeness, against the ledger
    Spans spans = good;
    spans.erase(spans.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_EQ(judged(spans).verdict, result::Verdict::kFail) << good[i].name << " " << i;
  }
}

TEST(PhasesProfile, EverySpanThatComesTwiceUnderAnotherIdIsFound) {
  const Spans good = good_spans();
  for (size_t i = 0; i < good.size(); ++i) {
    if (good[i].name == "llm_request") continue;
    Spans spans = good;
    spans.push_back(spans[i]);
    spans.back().span_id.bytes[0] ^= 0xFF;
    EXPECT_EQ(judged(spans).verdict, result::Verdict::kFail) << good[i].name << " " << i;
  }
}

TEST(PhasesProfile, EveryMovedEdgeIsFound) {
  const Spans good = good_spans();
  for (size_t i = 0; i < good.size(); ++i) {
    if (good[i].name == "kernel_execution" || good[i].name == "llm_request") continue;
    for (const int64_t off : {int64_t{-1000}, int64_t{1000}}) {
      Spans spans = good;
      spans[i].start_unix_ns += off;
      EXPECT_EQ(outcome_of(judged(spans), "family.layout").verdict, result::Verdict::kFail)
          << good[i].name << " starts " << off;
      spans = good;
      spans[i].end_unix_ns += off;
      EXPECT_EQ(outcome_of(judged(spans), "family.layout").verdict, result::Verdict::kFail)
          << good[i].name << " ends " << off;
    }
  }
}

TEST(PhasesProfile, EveryOtherMutantIsFound) {
  const struct {
    const char* name;
    const char* killer;
    std::function<void(Spans&)> damage;
  } kMutants[] = {
      {"no queue", "family.children", [](Spans& s) { remove(s, "queue"); }},
      {"no chunk", "family.layout", [](Spans& s) { remove(s, "prefill"); }},
      {"no root", "family.parent", [](Spans& s) { remove(s, "llm_request"); }},
      {"no kernels", "family.children", [](Spans& s) { remove(s, "kernel_execution"); }},
      {"a phase under another phase", "family.parent",
       [](Spans& s) { named(s, "decode").parent_span_id = named(s, "prefill").span_id; }},
      {"a phase of the other request", "family.layout",
       [](Spans& s) {
         named(s, "decode").trace_id = named(s, "llm_request", 1).trace_id;
         named(s, "decode").parent_span_id = named(s, "llm_request", 1).span_id;
       }},
      {"kernels under the root", "family.parent",
       [](Spans& s) {
         named(s, "kernel_execution").parent_span_id = named(s, "llm_request").span_id;
       }},
      {"kernels longer than their phase", "family.inside",
       [](Spans& s) { named(s, "kernel_execution").end_unix_ns += kNsPerSecond; }},
      {"half of all children's time", "family.layout",
       [](Spans& s) {
         for (Span& span : s) {
           if (!span.parent_span_id.is_valid()) continue;
           span.end_unix_ns -= (span.end_unix_ns - span.start_unix_ns) / 2;
         }
       }},
      {"all children a millisecond late", "family.layout",
       [](Spans& s) {
         for (Span& span : s) {
           if (!span.parent_span_id.is_valid()) continue;
           span.start_unix_ns += kNsPerMs;
           span.end_unix_ns += kNsPerMs;
         }
       }},
      {"everything in other units", "span.relation",
       [](Spans& s) {
         for (Span& span : s) {
           span.start_unix_ns = kStart + (span.start_unix_ns - kStart) * 1000;
           span.end_unix_ns = kStart + (span.end_unix_ns - kStart) * 1000;
         }
       }},
      {"a queue that the attribute contradicts", "family.relation",
       [](Spans& s) {
         for (auto& item : named(s, "llm_request").attributes) {
           if (item.key == "gen_ai.latency.time_in_queue") item.value = 0.001;
         }
       }},
      {"a stranger", "family.children", [](Spans& s) { named(s, "preempted").name = "frontend"; }},
      {"no first token", "span.events",
       [](Spans& s) { named(s, "llm_request").events.erase(s[0].events.begin()); }},
      {"content", "span.attribute.unknown",
       [](Spans& s) {
         named(s, "decode").attributes = {{"text", "said"}};
       }},
  };
  for (const auto& mutant : kMutants) {
    Spans spans = good_spans();
    mutant.damage(spans);
    const result::Report report = judged(std::move(spans));
    EXPECT_EQ(outcome_of(report, mutant.killer).verdict, result::Verdict::kFail) << mutant.name;
    EXPECT_EQ(report.verdict, result::Verdict::kFail) << mutant.name;
  }
}

}  // namespace
}  // namespace touchstone::conformance
