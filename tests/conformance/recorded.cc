#include "tests/conformance/recorded.h"

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/files.h"
#include "base/text.h"
#include "conformance/evidence_reader.h"
#include "tests/support/paths.h"

namespace touchstone::conformance {
namespace {

using nlohmann::json;

const std::string kFixtures = support::source_dir() + "/fixtures/";

/// Prompts of a completion request: a text, tokens, or a list of either.
int64_t prompts_in(const json& body) {
  const auto prompt = body.find("prompt");
  if (prompt == body.end() || !prompt->is_array() || prompt->empty()) return 1;
  const bool many = (*prompt)[0].is_string() || (*prompt)[0].is_array();
  return many ? static_cast<int64_t>(prompt->size()) : 1;
}

/// What one JSON object of a response adds: id, usage, finish reasons.
void read_response(const json& part, records::LedgerEntry& entry) {
  entry.response_id = part.value("id", entry.response_id);
  if (part.contains("usage") && part["usage"].is_object()) {
    entry.usage =
        records::Usage{.prompt_tokens = part["usage"].value("prompt_tokens", int64_t{0}),
                       .completion_tokens = part["usage"].value("completion_tokens", int64_t{0}),
                       .cached_tokens = std::nullopt};
  }
  for (const json& choice : part.value("choices", json::array())) {
    if (choice.contains("finish_reason") && choice["finish_reason"].is_string()) {
      entry.finish_reasons.push_back(choice["finish_reason"].get<std::string>());
    }
  }
}

void read_traceparent(const json& headers, records::LedgerEntry& entry) {
  const std::vector<std::string> parts = split(headers.value("traceparent", ""), '-');
  if (parts.size() != 4) return;
  entry.trace_id = TraceId::parse(parts[1]).value_or(TraceId{});
  entry.span_id = SpanId::parse(parts[2]).value_or(SpanId{});
  entry.sampled = parts[3] != "00";
}

records::LedgerEntry entry_of(const json& exchange, int64_t index) {
  records::LedgerEntry entry;
  entry.index = index;
  entry.name = exchange["name"];
  entry.endpoint = exchange["path"];
  entry.status = exchange["status"];
  entry.sent_unix_ns = exchange["sent_unix_ns"];
  entry.done_ns = exchange.value("done_unix_ns", entry.sent_unix_ns) - entry.sent_unix_ns;
  read_traceparent(exchange["headers"], entry);
  const json body = exchange["body"].is_object() ? exchange["body"] : json::object();
  const bool counted = body.contains("n") && body["n"].is_number_integer();
  entry.choices = prompts_in(body) * (counted ? body["n"].get<int64_t>() : 1);
  entry.parameters = records::parameters_of_body(body);
  entry.stream = body.contains("stream") && body["stream"] == true;
  entry.expect_status = entry.status;  // the recording asked for refusals on purpose
  if (exchange.value("aborted", false)) {
    entry.outcome = records::ClientOutcome::kHungUp;
    return entry;
  }
  entry.outcome =
      entry.status == 200 ? records::ClientOutcome::kCompleted : records::ClientOutcome::kRefused;
  const std::string response = exchange["response"];
  if (entry.outcome == records::ClientOutcome::kRefused) return entry;
  if (!entry.stream) {
    read_response(json::parse(response), entry);
    return entry;
  }
  for (const std::string& line : split(response, '\n')) {
    if (line.starts_with("data: {")) read_response(json::parse(line.substr(6)), entry);
  }
  return entry;
}

}  // namespace

std::vector<records::LedgerEntry> ledger_of_exchanges() {
  std::vector<records::LedgerEntry> ledger;
  const std::string path = kFixtures + "captures/vllm-0.32.0/exchanges.jsonl";
  const Status read = for_each_line(path, [&](int64_t, std::string_view line) -> Status {
    const json exchange = json::parse(line);
    const std::string route = exchange["path"];
    const bool generates = route == "/v1/completions" || route == "/v1/chat/completions";
    if (!generates || exchange["method"] != "POST") return {};
    ledger.push_back(entry_of(exchange, static_cast<int64_t>(ledger.size())));
    return {};
  });
  BASE_CHECK(read.has_value(), path);
  return ledger;
}

Evidence recorded_evidence() {
  const std::string folder = kFixtures + "spans/vllm-0.32.0/";
  EvidencePaths paths;
  paths.ledger = folder + "requests.jsonl";
  paths.metrics = folder + "metrics.txt";
  paths.metrics_before = folder + "metrics_before.txt";
  Result<Evidence> evidence = read_evidence(paths, 0);
  BASE_CHECK(evidence.has_value(), evidence ? "" : evidence.error().message);
  const Status read = read_spans({folder + "spans.otlp.jsonl"}, *evidence,
                                 [&](const telemetry::TraceBatch& batch) -> Status {
                                   if (evidence->spans.empty()) evidence->spans.emplace_back();
                                   telemetry::TraceBatch& all = evidence->spans.front();
                                   all.insert(all.end(), batch.begin(), batch.end());
                                   return {};
                                 });
  BASE_CHECK(read.has_value(), folder);
  return *std::move(evidence);
}

Profile vllm_v1() {
  Result<Profile> profile = load_profile("vllm-v1");
  BASE_CHECK(profile.has_value(), profile ? "" : profile.error().message);
  return *std::move(profile);
}

const result::CheckOutcome& outcome_of(const result::Report& report, const std::string& id) {
  for (const result::CheckOutcome& check : report.checks) {
    if (check.id == id) return check;
  }
  BASE_CHECK(false, "no check ", id);
  return report.checks.front();
}

std::string findings_text(const result::Report& report) {
  std::string text;
  for (const result::CheckOutcome& check : report.checks) {
    for (const result::Finding& finding : check.findings) {
      text += check.id + ": " + finding.message + "\n";
    }
  }
  return text;
}

}  // namespace touchstone::conformance
