// Two dialects in one run, each judged by its own profile: vLLM's span and the audit span of every
// request, with the same name, told apart by their scope.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/conformance/recorded.h"

namespace touchstone::conformance {
namespace {

using result::Verdict;
using telemetry::ScopeSpans;
using telemetry::Span;

Profile audit_profile() {
  Result<Profile> profile = load_profile("audit");
  BASE_CHECK(profile.has_value(), profile ? "" : profile.error().message);
  return *std::move(profile);
}

void add_reason(Span& span, const char* reason) {
  span.attributes.push_back(
      {"gen_ai.response.finish_reasons", telemetry::Value::Array{telemetry::Value(reason)}});
}

/// What the audit dialect makes of a request that vLLM's made `span` of.
Span audited(Span span) {
  span.span_id.bytes[0] ^= 0xA5;
  if (!span.parent_span_id.is_valid()) span.trace_id.bytes[0] ^= 0xA5;  // each starts a trace
  for (const auto& [key, value] :
       std::map<std::string, std::string>{{"gen_ai.model.id", "m"},
                                          {"gen_ai.system", "vllm"},
                                          {"gen_ai.operation.name", "text_completion"},
                                          {"gen_ai.request.model", "m"},
                                          {"gen_ai.response.model", "m"}}) {
    span.attributes.push_back({key, value});
  }
  add_reason(span, "stop");
  return span;
}

/// The span of a request that did not end well.
Span unwell(const records::LedgerEntry& entry, uint8_t number, const char* reason,
            const char* error_type) {
  Span span;
  span.trace_id = entry.trace_id;
  span.span_id.bytes[7] = number;
  span.parent_span_id = entry.span_id;
  span.flags = telemetry::kFlagHasIsRemote | telemetry::kFlagIsRemote;
  span.name = "llm_request";
  span.kind = telemetry::SpanKind::kServer;
  span.start_unix_ns = entry.sent_unix_ns;
  span.end_unix_ns = entry.sent_unix_ns + 1000;
  span.status = telemetry::StatusCode::kError;
  span.attributes = {{"gen_ai.latency.time_to_first_token", 0.0},
                     {"gen_ai.latency.e2e", 0.0},
                     {"gen_ai.latency.time_in_queue", 0.0},
                     {"gen_ai.usage.prompt_tokens", 1024},
                     {"gen_ai.usage.completion_tokens", 1024},
                     {"gen_ai.latency.time_in_model_prefill", 0.0},
                     {"gen_ai.latency.time_in_model_decode", 0.0},
                     {"gen_ai.latency.time_in_model_inference", 0.0},
                     {"gen_ai.request.id", "cmpl-" + std::to_string(number) + "-0"},
                     {"gen_ai.request.n", 1},
                     {"gen_ai.model.id", "m"},
                     {"gen_ai.system", "vllm"},
                     {"gen_ai.request.model", "m"},
                     {"gen_ai.response.model", "m"},
                     {"gen_ai.operation.name", "chat"},
                     {"error.type", error_type}};
  add_reason(span, reason);
  return span;
}

/// The recording with the spans of both dialects; those of the audit's in the last group.
Evidence both() {
  Evidence evidence = recorded_evidence();
  telemetry::TraceBatch& batch = evidence.spans[0];
  telemetry::ResourceSpans audit;
  audit.resource = batch[0].resource;
  audit.resource.attributes.push_back({"touchstone.audit.version", "1"});
  audit.scope_spans.resize(1);
  audit.scope_spans[0].scope.name = "touchstone.audit";
  std::vector<Span>& spans = audit.scope_spans[0].spans;
  for (const telemetry::ResourceSpans& group : batch) {
    for (const ScopeSpans& scoped : group.scope_spans) {
      for (const Span& span : scoped.spans) spans.push_back(audited(span));
    }
  }
  uint8_t number = 0;
  for (const records::LedgerEntry& entry : *evidence.ledger) {
    if (entry.outcome == records::ClientOutcome::kRefused) {
      spans.push_back(unwell(entry, ++number, "refused", "BadRequestError"));
    }
  }
  for (const records::LedgerEntry& entry : *evidence.ledger) {
    if (entry.outcome == records::ClientOutcome::kHungUp) {
      spans.push_back(unwell(entry, ++number, "abort", "client_disconnected"));
    }
  }
  batch.push_back(std::move(audit));
  return evidence;
}

std::vector<Span>& audit_spans(Evidence& evidence) {
  return evidence.spans[0].back().scope_spans[0].spans;
}

TEST(SeveralProfiles, EachJudgesItsOwnSpans) {
  const result::Report report = judge(both(), {vllm_v1(), audit_profile()}, {});
  EXPECT_EQ(findings_text(report), "");
  EXPECT_EQ(report.verdict, Verdict::kPass) << report.summary;
  // 72 spans of vLLM's, 72 audited, 2 of requests that were aborted and 40 of refused ones.
  EXPECT_EQ(outcome_of(report, "span.known_type").examined, 186);
  EXPECT_EQ(outcome_of(report, "span.kind").examined, 72);
}

TEST(SeveralProfiles, WhatOneLacksIsFoundInThatOne) {
  Evidence evidence = both();
  audit_spans(evidence).pop_back();  // an aborted request's
  const result::Report report = judge(evidence, {vllm_v1(), audit_profile()}, {});
  EXPECT_EQ(report.verdict, Verdict::kFail);
  for (const result::CheckOutcome& check : report.checks) {
    if (check.verdict != Verdict::kFail) continue;
    EXPECT_EQ(check.id, "completeness.missing");
    EXPECT_EQ(check.title, "Every owed span arrived [audit]");
    EXPECT_EQ(check.findings[0].context.at("profile"), "audit");
  }
}

TEST(SeveralProfiles, ARefusedRequestOwesOneSpanHoweverManyChoicesItAskedFor) {
  Evidence evidence = both();
  const auto refused = std::find_if(
      evidence.ledger->begin(), evidence.ledger->end(),
      [](const auto& entry) { return entry.outcome == records::ClientOutcome::kRefused; });
  ASSERT_NE(refused, evidence.ledger->end());
  refused->choices = 4;
  EXPECT_EQ(judge(evidence, {vllm_v1(), audit_profile()}, {}).verdict, Verdict::kPass);
  std::erase_if(audit_spans(evidence),
                [&](const Span& span) { return span.trace_id == refused->trace_id; });
  const result::Report report = judge(evidence, {vllm_v1(), audit_profile()}, {});
  const auto missing =
      std::find_if(report.checks.begin(), report.checks.end(),
                   [](const auto& one) { return one.title == "Every owed span arrived [audit]"; });
  ASSERT_NE(missing, report.checks.end());
  EXPECT_EQ(missing->verdict, Verdict::kFail);
  EXPECT_EQ(missing->findings.at(0).context.at("spans_lost"), "1");
}

TEST(SeveralProfiles, ASpanThatNoneKnowsIsFoundOnce) {
  Evidence evidence = both();
  audit_spans(evidence).back().name = "other";
  const result::Report report = judge(evidence, {vllm_v1(), audit_profile()}, {});
  ASSERT_EQ(outcome_of(report, "span.known_type").findings.size(), 1u);
  EXPECT_EQ(outcome_of(report, "span.known_type").findings[0].count, 1);
}

TEST(SeveralProfiles, EachSpanAloneWouldFailTheOther) {
  EXPECT_EQ(judge(both(), {vllm_v1()}, {}).verdict, Verdict::kFail);
  EXPECT_EQ(judge(both(), {audit_profile()}, {}).verdict, Verdict::kFail);
}

TEST(AuditProfile, FindsPersonalDataWhereverItStands) {
  Evidence evidence = both();
  audit_spans(evidence)[0].status_message = "for ann@example.org";
  const result::Report report = judge(evidence, {vllm_v1(), audit_profile()}, {});
  EXPECT_EQ(outcome_of(report, "content.forbidden").verdict, Verdict::kFail);
}

/// Whoever holds a real vLLM to the audit's list reads each key that is missing.
TEST(AuditProfile, TellsVllmsOwnSpansWhatTheyLack) {
  const result::Report report = judge(recorded_evidence(), {audit_profile()}, {});
  std::set<std::string> missing;
  for (const result::Finding& finding : outcome_of(report, "span.attribute.required").findings) {
    missing.insert(finding.context.at("attribute"));
  }
  EXPECT_EQ(missing,
            (std::set<std::string>{"gen_ai.model.id", "gen_ai.operation.name",
                                   "gen_ai.request.model", "gen_ai.response.finish_reasons",
                                   "gen_ai.response.model", "gen_ai.system"}));
  for (const char* check : {"span.known_type", "span.scope", "resource.required"}) {
    EXPECT_EQ(outcome_of(report, check).verdict, Verdict::kPass) << check;
  }
  EXPECT_EQ(report.verdict, Verdict::kFail);
}

}  // namespace
}  // namespace touchstone::conformance
