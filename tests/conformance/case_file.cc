#include "tests/conformance/case_file.h"

#include <cmath>
#include <set>

#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"
#include "telemetry/redelivery.h"
#include "tests/conformance/recorded.h"

namespace touchstone::conformance {
namespace {

using nlohmann::json;
using telemetry::Attributes;
using telemetry::Span;
using telemetry::Value;

constexpr int64_t kBaseUnixNs = 1'790'000'000 * kNsPerSecond;

int64_t at_ms(const json& ms) {
  return kBaseUnixNs + std::llround(ms.get<double>() * static_cast<double>(kNsPerMs));
}

void only_keys(const json& object, const std::set<std::string>& known) {
  for (const auto& [key, value] : object.items()) {
    BASE_CHECK(known.contains(key), "a case has the unknown key ", key);
  }
}

TraceId trace_of(int64_t number) {
  TraceId id;
  id.bytes.back() = static_cast<uint8_t>(number);
  return id;
}
SpanId span_of(int64_t number) {
  SpanId id;
  id.bytes.back() = static_cast<uint8_t>(number);
  return id;
}

/// JSON has no NaN: "NaN!" and "Infinity!" stand for them.
Value value_of(const json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number()) return value.get<double>();
  if (value == "NaN!") return std::nan("");
  if (value == "Infinity!") return std::numeric_limits<double>::infinity();
  if (value.is_string()) return value.get<std::string>();
  Value::Array items;
  for (const json& item : value) items.push_back(value_of(item));
  return items;
}

/// Null removes; a key that is not there is added.
void change(Attributes& attributes, const json& changes) {
  for (const auto& [key, value] : changes.items()) {
    const std::string name = key;
    std::erase_if(attributes, [&](const telemetry::KeyValue& item) { return item.key == name; });
    if (!value.is_null()) attributes.push_back({name, value_of(value)});
  }
}

Attributes good_attributes() {
  return {{"gen_ai.latency.time_to_first_token", 0.03},
          {"gen_ai.latency.e2e", 0.19},
          {"gen_ai.latency.time_in_queue", 0.001},
          {"gen_ai.usage.prompt_tokens", 16},
          {"gen_ai.usage.completion_tokens", 8},
          {"gen_ai.latency.time_in_model_prefill", 0.02},
          {"gen_ai.latency.time_in_model_decode", 0.139},
          {"gen_ai.latency.time_in_model_inference", 0.159},
          {"gen_ai.request.id", "cmpl-1-0"},
          {"gen_ai.request.top_p", 1.0},
          {"gen_ai.request.max_tokens", 8},
          {"gen_ai.request.n", 1}};
}

Attributes good_resource() {
  return {
      {"telemetry.sdk.language", "python"}, {"telemetry.sdk.name", "opentelemetry"},
      {"telemetry.sdk.version", "1.45.2"},  {"service.instance.id", "one"},
      {"service.name", "vllm-inference"},   {"vllm.instrumenting_module_name", "vllm.llm_engine"},
      {"vllm.process_id", "15699"}};
}

telemetry::SpanKind kind_of(const std::string& word) {
  return word == "server"     ? telemetry::SpanKind::kServer
         : word == "internal" ? telemetry::SpanKind::kInternal
                              : telemetry::SpanKind::kUnspecified;
}

telemetry::StatusCode status_of(const std::string& word) {
  return word == "ok"      ? telemetry::StatusCode::kOk
         : word == "error" ? telemetry::StatusCode::kError
                           : telemetry::StatusCode::kUnset;
}

telemetry::ResourceSpans read_span(const json& item) {
  only_keys(item,
            {"trace",      "span",     "parent",   "flags",          "name",        "kind",
             "status",     "events",   "links",    "status_message", "scope",       "schema_url",
             "redelivery", "start_ms", "end_ms",   "start_unix_ns",  "end_unix_ns", "set",
             "add",        "clear",    "resource", "resource_add",   "dropped"});
  Span span;
  span.trace_id = trace_of(item.value("trace", 1));
  span.span_id = span_of(item.value("span", 1));
  span.parent_span_id = span_of(item.value("parent", 100));
  span.flags = item.value("flags", 768u);
  span.name = item.value("name", "llm_request");
  span.kind = kind_of(item.value("kind", "server"));
  span.status = status_of(item.value("status", "unset"));
  const json events = item.value("events", json(0));
  if (events.is_number()) span.events.resize(events.get<size_t>());
  span.links.resize(item.value("links", size_t{0}));
  const std::string dropped = item.value("dropped", "");
  if (dropped == "attributes") span.dropped_attributes_count = 3;
  if (dropped == "events") span.dropped_events_count = 3;
  if (dropped == "links") span.dropped_links_count = 3;
  span.status_message = item.value("status_message", "");
  span.start_unix_ns = item.value("start_unix_ns", at_ms(item.value("start_ms", json(0))));
  span.end_unix_ns = item.value("end_unix_ns", at_ms(item.value("end_ms", json(200))));
  for (const json& event : events.is_array() ? events : json::array()) {
    const bool is_name = event.is_string();
    const int64_t time = is_name ? span.start_unix_ns : at_ms(event.at("at_ms"));
    const std::string name = is_name ? event : event.at("name");
    span.events.push_back({.time_unix_ns = time, .name = name, .attributes = {}});
  }
  if (!item.value("clear", false)) span.attributes = good_attributes();
  change(span.attributes, item.value("set", json::object()));
  for (const json& pair : item.value("add", json::array())) {
    span.attributes.push_back({pair[0].get<std::string>(), value_of(pair[1])});
  }
  telemetry::ResourceSpans group;
  group.resource.attributes = good_resource();
  change(group.resource.attributes, item.value("resource", json::object()));
  for (const json& pair : item.value("resource_add", json::array())) {
    group.resource.attributes.push_back({pair[0].get<std::string>(), value_of(pair[1])});
  }
  telemetry::ScopeSpans scoped;
  scoped.scope.name = item.value("scope", "vllm.tracing.otel");
  if (item.value("redelivery", false)) {
    scoped.scope.attributes = {{std::string(telemetry::kRedeliveryKey), telemetry::Value(true)}};
  }
  if (dropped == "of scope") scoped.scope.dropped_attributes_count = 3;
  if (dropped == "of resource") group.resource.dropped_attributes_count = 3;
  if (dropped == "of event") span.events.at(0).dropped_attributes_count = 3;
  if (dropped == "of link") span.links.at(0).dropped_attributes_count = 3;
  scoped.schema_url = item.value("schema_url", "");
  scoped.spans.push_back(std::move(span));
  group.scope_spans.push_back(std::move(scoped));
  return group;
}

records::ClientOutcome client_outcome_of(const std::string& word) {
  for (const records::ClientOutcome outcome :
       {records::ClientOutcome::kCompleted, records::ClientOutcome::kHungUp,
        records::ClientOutcome::kRefused, records::ClientOutcome::kFailed}) {
    if (word == to_string(outcome)) return outcome;
  }
  BASE_CHECK(false, "no outcome ", word);
  return records::ClientOutcome::kFailed;
}

records::LedgerEntry read_entry(const json& item) {
  only_keys(item, {"i", "trace", "span", "sampled", "outcome", "status", "expect_status", "choices",
                   "done_ms", "first_chunk_ms", "sent_ms", "subject", "usage", "prompt_tokens",
                   "output_tokens", "finish_reasons", "response_id", "parameters"});
  records::LedgerEntry entry;
  entry.index = item.value("i", 0);
  entry.trace_id = trace_of(item.value("trace", 1));
  entry.span_id = span_of(item.value("span", 100));
  entry.sampled = item.value("sampled", true);
  entry.choices = item.value("choices", 1);
  entry.status = item.value("status", 200);
  if (item.contains("expect_status")) entry.expect_status = item["expect_status"];
  entry.outcome = client_outcome_of(item.value("outcome", "completed"));
  entry.subject = item.value("subject", "");
  entry.sent_unix_ns = at_ms(item.value("sent_ms", json(-1)));
  if (item.contains("first_chunk_ms")) {
    entry.first_chunk_ns = item["first_chunk_ms"].get<int64_t>() * kNsPerMs;
  }
  entry.done_ns = item.value("done_ms", int64_t{210}) * kNsPerMs;
  entry.prompt_tokens = item.value("prompt_tokens", 0);
  entry.output_tokens = item.value("output_tokens", 0);
  entry.finish_reasons = item.value("finish_reasons", std::vector<std::string>());
  entry.response_id = item.value("response_id", "cmpl-1");
  entry.parameters = records::parameters_of_body(item.value("parameters", json::object()));
  const json usage = item.value("usage", json::object());
  if (!usage.is_null()) {
    entry.usage = records::Usage{.prompt_tokens = usage.value("prompt_tokens", 16),
                                 .completion_tokens = usage.value("completion_tokens", 8),
                                 .cached_tokens = std::nullopt};
  }
  return entry;
}

std::optional<telemetry::MetricsPage> read_page(const json& input, const char* key) {
  if (!input.contains(key) || input[key].is_null()) return std::nullopt;
  const auto lines = input[key].get<std::vector<std::string>>();
  auto page = telemetry::parse_prometheus_text(key, join(lines, "\n") + "\n");
  BASE_CHECK(page.has_value(), page ? "" : page.error().message);
  return *std::move(page);
}

std::string differences(const json& expected, const result::Finding& finding) {
  only_keys(expected, {"level", "signal", "subject", "message", "expected", "actual", "count",
                       "context", "places"});
  std::string text;
  const auto differs = [&](const std::string& key, const std::string& got) {
    if (expected.contains(key) && expected[key] != got) {
      text += key + ": got " + quote(got) + ", expected " + expected[key].dump() + "; ";
    }
  };
  differs("level", result::to_string(finding.level));
  differs("signal", finding.signal);
  differs("subject", finding.subject);
  differs("expected", finding.expected);
  differs("actual", finding.actual);
  if (expected.contains("count") && expected["count"] != finding.count) {
    text += "count: got " + std::to_string(finding.count) + "; ";
  }
  const std::string message = expected.value("message", "");
  if (finding.message.find(message) == std::string::npos) {
    text += "message: got " + finding.message + "; ";
  }
  if (expected.contains("places")) {
    json places = json::array();
    for (const result::Place& place : finding.places) places.push_back(result::to_string(place));
    if (places != expected["places"]) text += "places: got " + places.dump() + "; ";
  }
  const json context = expected.value("context", json::object());
  for (const auto& [key, value] : context.items()) {
    const auto found = finding.context.find(key);
    const std::string got = found == finding.context.end() ? "nothing" : found->second;
    if (got.find(value.get<std::string>()) == std::string::npos) {
      text += "context." + key + ": got " + got + "; ";
    }
  }
  return text;
}

}  // namespace

CaseInput read_case_input(const json& input) {
  only_keys(input, {"profile", "spans", "ledger", "metrics", "metrics_before", "collector_metrics",
                    "span_problems", "suppressions", "now_ms", "answered_share"});
  CaseInput result;
  result.profile = vllm_v1();
  if (input.contains("profile")) {
    auto profile = parse_profile(
        "case.yaml", join(input["profile"].get<std::vector<std::string>>(), "\n") + "\n");
    BASE_CHECK(profile.has_value(), profile ? "" : profile.error().message);
    result.profile = *std::move(profile);
  }
  Evidence& evidence = result.evidence;
  telemetry::TraceBatch batch;
  for (const json& item : input.value("spans", json::array())) batch.push_back(read_span(item));
  evidence.spans.push_back(std::move(batch));
  evidence.span_problems = input.value("span_problems", std::vector<std::string>());
  if (input.contains("ledger")) {
    evidence.ledger.emplace();
    for (const json& item : input["ledger"]) evidence.ledger->push_back(read_entry(item));
  }
  evidence.metrics = read_page(input, "metrics");
  // A server that was started for the case, unless it says null.
  evidence.metrics_before = read_page(input, "metrics_before");
  if (evidence.metrics && !input.contains("metrics_before")) evidence.metrics_before.emplace();
  evidence.collector_metrics = read_page(input, "collector_metrics");
  evidence.now_unix_ns = at_ms(input.value("now_ms", json(86'400'000)));
  result.options.answered_share = input.value("answered_share", 1.0);
  for (const json& item : input.value("suppressions", json::array())) {
    only_keys(item, {"check_id", "subject", "reason", "expires_ms", "at_most"});
    Suppression suppression;
    suppression.check_id = item.at("check_id");
    suppression.subject = item.at("subject");
    suppression.reason = item.at("reason");
    suppression.expires_unix_ns = at_ms(item.value("expires_ms", json(1e12)));
    if (item.contains("at_most")) suppression.at_most = item["at_most"];
    suppression.where = "suite.yaml:1";
    result.options.suppressions.push_back(std::move(suppression));
  }
  return result;
}

std::string compare(const json& expected, const result::CheckOutcome& outcome) {
  if (expected["verdict"] != result::to_string(outcome.verdict)) {
    return std::string("verdict: got ") + result::to_string(outcome.verdict) + " (" +
           outcome.reason + ")";
  }
  const json findings = expected.value("findings", json::array());
  std::string text;
  if (findings.size() != outcome.findings.size()) {
    text = "got " + std::to_string(outcome.findings.size()) + " findings: ";
    for (const result::Finding& finding : outcome.findings) text += finding.message + "; ";
    return text;
  }
  std::set<size_t> taken;
  for (const json& wanted : findings) {
    std::string nearest_miss;
    bool found = false;
    for (size_t i = 0; i < outcome.findings.size() && !found; ++i) {
      if (taken.contains(i)) continue;
      const std::string miss = differences(wanted, outcome.findings[i]);
      found = miss.empty();
      if (found) taken.insert(i);
      nearest_miss = miss;
    }
    if (!found) text += "no finding " + wanted.dump() + ": " + nearest_miss;
  }
  return text;
}

}  // namespace touchstone::conformance
