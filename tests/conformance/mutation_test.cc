// The judge judged: known-good telemetry (the recorded vLLM) is damaged in every way we know, and
// each damage must be found by the check that is there for it.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <functional>

#include "base/clock.h"
#include "conformance/checks/check.h"
#include "tests/conformance/recorded.h"

namespace touchstone::conformance {
namespace {

using telemetry::Attributes;
using telemetry::MetricFamily;
using telemetry::Span;
using telemetry::Value;

/// Where spans were damaged: first, middle (a child of n = 2), last.
constexpr size_t kPositions[] = {0, 8, 71};

struct Mutant {
  std::string name;
  std::string killer;  ///< id of the check that must find it
  std::function<void(Evidence&, size_t position)> damage;
};

/// The spans of the recording in order; pointers stay valid while the evidence is unchanged.
std::vector<Span*> spans_of(Evidence& evidence) {
  std::vector<Span*> spans;
  for (telemetry::TraceBatch& batch : evidence.spans) {
    for (telemetry::ResourceSpans& resource : batch) {
      for (telemetry::ScopeSpans& scope : resource.scope_spans) {
        for (Span& span : scope.spans) spans.push_back(&span);
      }
    }
  }
  return spans;
}

void remove_span(Evidence& evidence, size_t position) {
  const SpanId id = spans_of(evidence)[position]->span_id;
  for (telemetry::TraceBatch& batch : evidence.spans) {
    for (telemetry::ResourceSpans& resource : batch) {
      for (telemetry::ScopeSpans& scope : resource.scope_spans) {
        std::erase_if(scope.spans, [&](const Span& span) { return span.span_id == id; });
      }
    }
  }
}

Value& value_of(Span& span, const std::string& key) {
  for (telemetry::KeyValue& attribute : span.attributes) {
    if (attribute.key == key) return attribute.value;
  }
  BASE_CHECK(false, "the recording has no ", key);
  return span.attributes[0].value;
}

Mutant on_span(const std::string& name, const std::string& killer,
               const std::function<void(Span&)>& damage) {
  return {name, killer, [damage](Evidence& evidence, size_t i) { damage(*spans_of(evidence)[i]); }};
}

Mutant on_resource(const std::string& name, const std::string& killer,
                   const std::function<void(Attributes&)>& damage) {
  return {name, killer, [damage](Evidence& evidence, size_t) {
            damage(evidence.spans[0][0].resource.attributes);
          }};
}

/// Damages the first metric sample with this name (and labels).
Mutant on_sample(const std::string& name, const std::string& killer, const std::string& sample,
                 const telemetry::Labels& labels, const std::function<void(double&)>& damage) {
  return {name, killer, [=](Evidence& evidence, size_t) {
            for (MetricFamily& family : evidence.metrics->families) {
              for (telemetry::Sample& item : family.samples) {
                bool fits = item.name == sample;
                for (const auto& [key, value] : labels) {
                  fits = fits && item.labels[key] == value;
                }
                if (!fits) continue;
                damage(item.value);
                return;
              }
            }
            BASE_CHECK(false, "the recording has no ", sample);
          }};
}

Mutant on_family(const std::string& name, const std::string& killer, const std::string& family,
                 const std::function<void(MetricFamily&)>& damage) {
  return {name, killer, [=](Evidence& evidence, size_t) {
            for (MetricFamily& item : evidence.metrics->families) {
              if (item.name == family) damage(item);
            }
          }};
}

/// Damages the ledger entry whose span stands at the position.
Mutant on_entry(const std::string& name, const std::string& killer,
                const std::function<void(records::LedgerEntry&)>& damage) {
  return {name, killer, [damage](Evidence& evidence, size_t position) {
            const TraceId trace = spans_of(evidence)[position]->trace_id;
            for (records::LedgerEntry& entry : *evidence.ledger) {
              if (entry.trace_id == trace) damage(entry);
            }
          }};
}

const std::vector<std::string>& required_keys() {
  static const std::vector<std::string> kKeys = {"gen_ai.latency.time_to_first_token",
                                                 "gen_ai.latency.e2e",
                                                 "gen_ai.latency.time_in_queue",
                                                 "gen_ai.usage.prompt_tokens",
                                                 "gen_ai.usage.completion_tokens",
                                                 "gen_ai.latency.time_in_model_prefill",
                                                 "gen_ai.latency.time_in_model_decode",
                                                 "gen_ai.latency.time_in_model_inference",
                                                 "gen_ai.request.id",
                                                 "gen_ai.request.top_p",
                                                 "gen_ai.request.max_tokens",
                                                 "gen_ai.request.n"};
  return kKeys;
}

std::vector<Mutant> attribute_mutants() {
  std::vector<Mutant> mutants;
  for (const std::string& key : required_keys()) {
    mutants.push_back(on_span("drop " + key, "span.attribute.required", [=](Span& span) {
      std::erase_if(span.attributes, [&](const auto& item) { return item.key == key; });
    }));
    mutants.push_back(on_span("rename " + key, "span.attribute.required", [=](Span& span) {
      for (auto& item : span.attributes) item.key += item.key == key ? "x" : "";
    }));
    mutants.push_back(on_span("retype " + key, "span.attribute.type", [=](Span& span) {
      Value& value = value_of(span, key);
      value = value.string() != nullptr ? Value(7) : Value(value.text());
    }));
    mutants.push_back(on_span("duplicate " + key, "span.attribute.twice", [=](Span& span) {
      span.attributes.push_back({key, value_of(span, key)});
    }));
  }
  for (const std::string& key : required_keys()) {
    if (!key.starts_with("gen_ai.latency.")) continue;
    mutants.push_back(on_span("negate " + key, "span.attribute.range",
                              [=](Span& span) { value_of(span, key) = -0.25; }));
    mutants.push_back(on_span("milliseconds in " + key, "time.latency_within_span",
                              [=](Span& span) { value_of(span, key) = 1e5; }));
    mutants.push_back(on_span("NaN in " + key, "span.attribute.range",
                              [=](Span& span) { value_of(span, key) = std::nan(""); }));
  }
  mutants.push_back(on_span("an unknown key", "span.attribute.unknown", [](Span& span) {
    span.attributes.push_back({"user.email", "a@b"});
  }));
  mutants.push_back(on_span("the prompt", "span.attribute.forbidden", [](Span& span) {
    span.attributes.push_back({"gen_ai.prompt", "secret"});
  }));
  mutants.push_back(on_span("another id form", "span.attribute.pattern",
                            [](Span& span) { value_of(span, "gen_ai.request.id") = "request 1"; }));
  mutants.push_back(on_span("top_p of 2", "span.attribute.range",
                            [](Span& span) { value_of(span, "gen_ai.request.top_p") = 2.0; }));
  mutants.push_back(on_span("TTFT after the end", "span.relation", [](Span& span) {
    const double e2e = *value_of(span, "gen_ai.latency.e2e").number();
    value_of(span, "gen_ai.latency.time_to_first_token") = e2e + 0.001;
  }));
  mutants.push_back(on_span("more decode", "span.relation", [](Span& span) {
    Value& decode = value_of(span, "gen_ai.latency.time_in_model_decode");
    decode = *decode.number() + 0.0001;
  }));
  mutants.push_back(on_span("more tokens than allowed", "span.relation", [](Span& span) {
    value_of(span, "gen_ai.usage.completion_tokens") =
        *value_of(span, "gen_ai.request.max_tokens").integer() + 1;
  }));
  mutants.push_back(on_span("latencies of a thousandth", "span.relation", [](Span& span) {
    for (auto& item : span.attributes) {
      if (item.key.starts_with("gen_ai.latency.")) item.value = *item.value.number() / 1000;
    }
    span.end_unix_ns = std::max(span.end_unix_ns, span.start_unix_ns + 150'000'000);
  }));
  mutants.push_back(on_span("an end half a second late", "span.relation",
                            [](Span& span) { span.end_unix_ns += 500'000'000; }));
  mutants.push_back(on_span("a prompt under any key", "content.forbidden", [](Span& span) {
    span.attributes.push_back({"note", "Please write a letter to my doctor about the pain"});
  }));
  mutants.push_back(on_span("the id of another request", "request.id", [](Span& span) {
    value_of(span, "gen_ai.request.id") = "cmpl-0123456789abcdef-0";
  }));
  return mutants;
}

std::vector<Mutant> shape_mutants() {
  return {
      on_span("rename the span", "span.known_type", [](Span& span) { span.name += "s"; }),
      on_span("change the kind", "span.kind",
              [](Span& span) { span.kind = telemetry::SpanKind::kClient; }),
      on_span("set an error", "span.status",
              [](Span& span) { span.status = telemetry::StatusCode::kError; }),
      on_span("lost attributes", "span.dropped",
              [](Span& span) { span.dropped_attributes_count = 3; }),
      on_entry("another max_tokens", "request.parameters",
               [](records::LedgerEntry& entry) { entry.parameters.max_tokens = 1'000'000; }),
      on_resource("duplicate service.name", "resource.twice",
                  [](Attributes& resource) {
                    resource.push_back({"service.name", "vllm-inference"});
                  }),
      on_span("add an event", "span.events", [](Span& span) { span.events.resize(1); }),
      {"rename the scope", "span.scope",
       [](Evidence& evidence, size_t) { evidence.spans[0][0].scope_spans[0].scope.name = "vllm"; }},
      on_resource("drop service.name", "resource.required",
                  [](Attributes& resource) {
                    std::erase_if(resource,
                                  [](const auto& item) { return item.key == "service.name"; });
                  }),
      on_resource("retype vllm.process_id", "resource.value",
                  [](Attributes& resource) {
                    for (auto& item : resource) {
                      if (item.key == "vllm.process_id") item.value = 7;
                    }
                  }),
      on_span("zero the trace id", "span.id.valid", [](Span& span) { span.trace_id = {}; }),
      on_span("zero the span id", "span.id.valid", [](Span& span) { span.span_id = {}; }),
      on_span("an hour early", "time.client_window",
              [](Span& span) {
                span.start_unix_ns -= 3600 * kNsPerSecond;
                span.end_unix_ns -= 3600 * kNsPerSecond;
              }),
      on_span("an hour late", "time.client_window",
              [](Span& span) {
                span.start_unix_ns += 3600 * kNsPerSecond;
                span.end_unix_ns += 3600 * kNsPerSecond;
              }),
      on_span("end before start", "time.order",
              [](Span& span) { std::swap(span.start_unix_ns, span.end_unix_ns); }),
      on_span("no time", "time.bounds",
              [](Span& span) { span.start_unix_ns = span.end_unix_ns = 0; }),
      on_span("two days long", "time.bounds",
              [](Span& span) { span.start_unix_ns -= 48 * 3600 * kNsPerSecond; }),
      on_span("a link", "span.links", [](Span& span) { span.links.resize(1); }),
      on_entry("a span longer than its client waited", "time.client_duration",
               [](records::LedgerEntry& entry) { entry.done_ns = kNsPerMs; }),
      on_span("another parent", "topology.parent_is_client",
              [](Span& span) { span.parent_span_id.bytes[0] ^= 0xFF; }),
      on_span("no parent", "topology.one_root", [](Span& span) { span.parent_span_id = {}; }),
      on_span("its own parent", "topology.cycle",
              [](Span& span) { span.parent_span_id = span.span_id; }),
      on_span("an orphan", "topology.orphan",
              [](Span& span) {
                span.parent_span_id.bytes[0] ^= 0xFF;
                span.flags = telemetry::kFlagHasIsRemote;
              }),
      on_span("no flags", "topology.remote_flag", [](Span& span) { span.flags = 0; }),
  };
}

void add_copy(Evidence& evidence, size_t position, const std::function<void(Span&)>& change) {
  Span copy = *spans_of(evidence)[position];
  change(copy);
  evidence.spans[0][0].scope_spans[0].spans.push_back(std::move(copy));
}

std::vector<Mutant> accounting_mutants() {
  return {
      {"lose a span", "completeness.missing", remove_span},
      {"lose all", "input.received", [](Evidence& evidence, size_t) { evidence.spans.clear(); }},
      {"reuse a span id", "span.id.unique",
       [](Evidence& evidence, size_t i) {
         add_copy(evidence, i, [](Span& span) { ++span.end_unix_ns; });
       }},
      on_entry("an answer that broke off", "request.answered",
               [](records::LedgerEntry& entry) {
                 entry.outcome = records::ClientOutcome::kFailed;
                 entry.status = 500;
               }),
      {"record a request twice", "span.request.once",
       [](Evidence& evidence, size_t i) {
         // As often as the two choices at position 8 cannot explain.
         add_copy(evidence, i, [](Span& span) { span.span_id.bytes[0] ^= 0xFF; });
         add_copy(evidence, i, [](Span& span) { span.span_id.bytes[0] ^= 0x0F; });
       }},
      {"one span too many", "completeness.surplus",
       [](Evidence& evidence, size_t i) {
         add_copy(evidence, i, [](Span& span) {
           span.span_id.bytes[0] ^= 0xFF;
           span.end_unix_ns += 1000;
         });
       }},
      on_span("another trace", "completeness.unexplained",
              [](Span& span) { span.trace_id.bytes[0] ^= 0xFF; }),
      {"forget a request", "completeness.unexplained",
       [](Evidence& evidence, size_t i) {
         const TraceId trace = spans_of(evidence)[i]->trace_id;
         std::erase_if(*evidence.ledger,
                       [&](const records::LedgerEntry& entry) { return entry.trace_id == trace; });
       }},
      on_entry("not sampled", "completeness.surplus",
               [](records::LedgerEntry& entry) { entry.sampled = false; }),
      on_entry(
          "refused", "completeness.surplus",
          [](records::LedgerEntry& entry) { entry.outcome = records::ClientOutcome::kRefused; }),
      on_entry("one more choice", "completeness.missing",
               [](records::LedgerEntry& entry) { ++entry.choices; }),
      {"one context twice", "completeness.ledger",
       [](Evidence& evidence, size_t) { evidence.ledger->push_back(evidence.ledger->front()); }},
      {"a damaged line", "input.readable",
       [](Evidence& evidence, size_t) { evidence.span_problems = {"spans.jsonl:2: cut short"}; }},
  };
}

/// Entries with usage are not at every position; these take the first that has it.
Mutant on_usage(const std::string& name, const std::string& killer,
                const std::function<void(records::Usage&)>& damage) {
  return {name, killer, [damage](Evidence& evidence, size_t) {
            for (records::LedgerEntry& entry : *evidence.ledger) {
              if (!entry.usage || !entry.sampled) continue;
              damage(*entry.usage);
              return;
            }
          }};
}

std::vector<Mutant> metric_mutants() {
  const std::string e2e = "vllm:e2e_request_latency_seconds";
  return {
      on_usage("usage with another prompt", "reconcile.usage_prompt",
               [](records::Usage& usage) { ++usage.prompt_tokens; }),
      on_usage("usage with another completion", "reconcile.usage_completion",
               [](records::Usage& usage) { --usage.completion_tokens; }),
      on_sample("too few prompt tokens", "reconcile.counters", "vllm:prompt_tokens_total", {},
                [](double& value) { value /= 2; }),
      on_sample("too few output tokens", "reconcile.counters", "vllm:generation_tokens_total", {},
                [](double& value) { value -= 8; }),
      on_sample("a request too few", "reconcile.requests", "vllm:request_success_total",
                {{"finished_reason", "length"}}, [](double& value) { --value; }),
      on_sample("a request of another reason", "reconcile.requests", "vllm:request_success_total",
                {{"finished_reason", "stop"}}, [](double& value) { --value; }),
      on_sample("a sum too low", "reconcile.histograms", e2e + "_sum", {},
                [](double& value) { value /= 2; }),
      on_sample("a count too high", "reconcile.histograms", e2e + "_count", {},
                [](double& value) { ++value; }),
      on_sample("another bucket", "reconcile.histograms", e2e + "_bucket", {{"le", "1.0"}},
                [](double& value) { value -= 2; }),
      on_sample("not a number", "metric.value", "vllm:kv_cache_usage_perc", {},
                [](double& value) { value = std::nan(""); }),
      on_sample("cache use above 1", "metric.value", "vllm:kv_cache_usage_perc", {},
                [](double& value) { value = 1.5; }),
      on_family("a family is gone", "metric.present", "vllm:num_preemptions_total",
                [](MetricFamily& family) { family.name = "vllm:gone"; }),
      on_family("a series is gone", "metric.present", "vllm:request_success_total",
                [](MetricFamily& family) { family.samples.pop_back(); }),
      on_family("another type", "metric.type", "vllm:prompt_tokens_total",
                [](MetricFamily& family) { family.type = "gauge"; }),
      on_family("another label", "metric.labels", "vllm:num_requests_running",
                [](MetricFamily& family) { family.samples[0].labels["tenant"] = "x"; }),
      on_family("a bound is gone", "metric.buckets", e2e,
                [](MetricFamily& family) { family.samples.erase(family.samples.begin()); }),
  };
}

/// Empty when the check named found the damage.
std::string survives(const Mutant& mutant, size_t position, const Evidence& good,
                     const Profile& profile) {
  Evidence evidence = good;
  mutant.damage(evidence, position);
  const result::Report report = judge(
      evidence, {profile}, {.budgets = {}, .suppressions = {}, .fail_on = result::Level::kMay});
  const result::CheckOutcome& check = outcome_of(report, mutant.killer);
  const bool found =
      check.verdict == result::Verdict::kFail || check.verdict == result::Verdict::kUnknown;
  if (found && report.verdict != result::Verdict::kPass) return "";
  return mutant.name + " at span " + std::to_string(position) + ": " + mutant.killer + " says " +
         result::to_string(check.verdict) + "\n";
}

TEST(Mutation, EveryMutantOfTheRecordingIsKilled) {
  const Evidence good = recorded_evidence();
  const Profile profile = vllm_v1();
  std::vector<Mutant> mutants;
  for (const auto& group :
       {attribute_mutants(), shape_mutants(), accounting_mutants(), metric_mutants()}) {
    mutants.insert(mutants.end(), group.begin(), group.end());
  }
  std::string survivors;
  int64_t total = 0;
  for (const Mutant& mutant : mutants) {
    for (const size_t position : kPositions) {
      ++total;
      survivors += survives(mutant, position, good, profile);
    }
  }
  EXPECT_EQ(survivors, "");
  EXPECT_GE(total, 300);
  std::printf("%lld mutants tried\n", static_cast<long long>(total));
}

/// Checks that no mutant names: their rules are absent from vllm-v1 or need a Collector; their
/// case files kill them.
TEST(Mutation, EveryCheckThatVllmV1UsesHasAMutant) {
  std::set<std::string> killers;
  for (const auto& group :
       {attribute_mutants(), shape_mutants(), accounting_mutants(), metric_mutants()}) {
    for (const Mutant& mutant : group) killers.insert(mutant.killer);
  }
  const result::Report report = judge(recorded_evidence(), {vllm_v1()}, {});
  for (const result::CheckOutcome& check : report.checks) {
    if (check.verdict != result::Verdict::kPass) continue;
    EXPECT_TRUE(killers.contains(check.id)) << check.id << " passed and no mutant dies of it";
  }
}

RC_GTEST_PROP(Mutation, LosingAnySpansIsReportedWithTheExactNumber, ()) {
  static const Evidence kGood = recorded_evidence();
  static const Profile kProfile = vllm_v1();
  Evidence evidence = kGood;
  const auto lost = *rc::gen::inRange<size_t>(1, 72);
  int64_t owed = 0;  // a lost root was sent without traceparent and is owed all the same
  for (size_t i = 0; i < lost; ++i) {
    remove_span(evidence, *rc::gen::inRange<size_t>(0, spans_of(evidence).size()));
    ++owed;
  }
  const result::Report report = judge(evidence, {kProfile}, {});
  const result::CheckOutcome& check = outcome_of(report, "completeness.missing");
  RC_ASSERT(check.verdict == result::Verdict::kFail);
  RC_ASSERT(check.findings.at(0).context.at("spans_lost") == std::to_string(owed));
  RC_ASSERT(report.verdict == result::Verdict::kFail);
}

RC_GTEST_PROP(Mutation, TheOrderOfSpansChangesNothing, ()) {
  static const Evidence kGood = recorded_evidence();
  static const Profile kProfile = vllm_v1();
  Evidence evidence = kGood;
  std::vector<Span*> spans = spans_of(evidence);
  for (size_t i = spans.size() - 1; i > 0; --i) {
    std::swap(*spans[i], *spans[*rc::gen::inRange<size_t>(0, i + 1)]);
  }
  const result::Report report = judge(evidence, {kProfile}, {});
  RC_ASSERT(findings_text(report).empty());
  RC_ASSERT(report.verdict == result::Verdict::kPass);
}

}  // namespace
}  // namespace touchstone::conformance
