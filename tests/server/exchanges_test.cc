// Every exchange that was recorded from vLLM 0.32.0, sent to the real binary with the recording's
// flags: status, headers, JSON keys and types, framing and errors must be the recorded ones, but
// for those that known_differences.json names.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/files.h"
#include "records/request_record.h"
#include "records/trace_context.h"
#include "reference_engine/grammar/compiler.h"
#include "telemetry/otlp/file.h"
#include "tests/support/exchange_compare.h"
#include "tests/support/paths.h"
#include "tests/support/recording_receiver.h"
#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

const std::string kHere = support::source_dir() + "/tests/server/";
const std::string kRecording =
    support::source_dir() + "/fixtures/captures/vllm-0.32.0/exchanges.jsonl";

/// The one that asks for structured output.
constexpr const char* kStructured = "chat json_object";

/// Names and reasons.
std::map<std::string, std::string> known_differences() {
  const Result<std::string> text = read_file(kHere + "known_differences.json");
  auto known = nlohmann::json::parse(*text).get<std::map<std::string, std::string>>();
  if (!grammar::is_built_in()) known[kStructured] = "built without xgrammar: it is refused";
  return known;
}

const std::string kRecordedSpans =
    support::source_dir() + "/fixtures/spans/vllm-0.32.0/spans.otlp.jsonl";

ServerProcessOptions recorded_options() {
  return {.model = capture_model(),
          .flags = {"--served-model-name",
                    "tiny",
                    "tiny-alias",
                    "--num-gpu-blocks-override",
                    "28",
                    "--block-size",
                    "32",
                    "--max-num-seqs",
                    "8",
                    "--max-num-batched-tokens",
                    "512",
                    "--max-model-len",
                    "512",
                    "--enable-prompt-tokens-details",
                    "--enable-request-id-headers",
                    "--enable-lora",
                    "--lora-modules",
                    "tiny-lora=" + support::source_dir() + "/fixtures/models/adapters/vllm-capture",
                    "--max-lora-rank",
                    "8",
                    "--seed",
                    "0"},
          .environment = {{"OTEL_SERVICE_NAME", "vllm-inference"},
                          {"OTEL_RESOURCE_ATTRIBUTES",
                           "service.namespace=llm,service.version=0.32.0,"
                           "deployment.environment.name=test,cloud.region=eu-central,"
                           "vllm.gpu_model=cpu"}}};
}

std::string request_of(const test::Exchange& exchange) {
  std::vector<std::pair<std::string, std::string>> headers(exchange.headers.begin(),
                                                           exchange.headers.end());
  return request_text(exchange.method, exchange.path, exchange.body, headers);
}

/// The recorded headers that the answer lacks.
std::vector<std::string> missing_headers(const test::Exchange& recorded, const HttpAnswer& answer) {
  std::vector<std::string> missing;
  for (const auto& [name, value] : recorded.response_headers) {
    if (!answer.has_header(name)) missing.push_back("header " + name + " is missing");
    if (name == "allow" && answer.header(name) != value) {
      missing.push_back("header allow: got " + answer.header(name) + ", recorded " + value);
    }
  }
  return missing;
}

class Replay {
 public:
  explicit Replay(const ServerProcess& server) : server_(server) {}

  void run(const std::vector<test::Exchange>& exchanges) {
    for (const test::Exchange& exchange : exchanges) {
      // The recorded "pressure" requests ran together.
      const bool together = exchange.name.starts_with("pressure");
      if (!together) receive_all();
      send(exchange);
      if (!together) receive_all();
    }
    receive_all();
  }

  std::map<std::string, std::vector<std::string>> differences;  // by name

 private:
  /// Without waiting for the answer.
  void send(const test::Exchange& exchange) {
    HttpClient& client = clients_.emplace_back(server_.port());
    ASSERT_TRUE(client.send(request_of(exchange))) << exchange.name;
    waiting_.push_back(&exchange);
  }

  void receive_all() {
    for (size_t i = 0; i < waiting_.size(); ++i) receive(*waiting_[i], clients_[i]);
    waiting_.clear();
    clients_.clear();
  }

  void receive(const test::Exchange& exchange, HttpClient& client) {
    const HttpAnswer answer =
        exchange.aborted ? client.read_first_chunks(test::stream_events(exchange.response).size())
                         : client.read_answer();
    std::vector<std::string> found;
    if (!answer.problem.empty()) found.push_back(answer.problem);
    for (auto& text : missing_headers(exchange, answer)) found.push_back(std::move(text));
    for (auto& text :
         test::compare_exchange(exchange, {.status = answer.status,
                                          .content_type = answer.header("content-type"),
                                          .body = answer.body})) {
      found.push_back(std::move(text));
    }
    if (!found.empty()) differences[exchange.name] = std::move(found);
  }

  const ServerProcess& server_;
  std::deque<HttpClient> clients_;
  std::vector<const test::Exchange*> waiting_;
};

TEST(Exchanges, AreAsRecordedFromVllmButForTheKnownDifferences) {
  const auto exchanges = test::load_exchanges(kRecording);
  ASSERT_TRUE(exchanges) << exchanges.error().message;
  ASSERT_EQ(exchanges->size(), 121u);
  ServerProcess server(recorded_options());
  ASSERT_TRUE(server.ready()) << server.problem();
  Replay replay(server);
  replay.run(*exchanges);

  std::map<std::string, std::string> known = known_differences();
  for (const auto& [name, found] : replay.differences) {
    std::string text;
    for (const std::string& line : found) text += "\n    " + line;
    EXPECT_TRUE(known.contains(name)) << name << ":" << text;
  }
  for (const auto& [name, reason] : known) {
    EXPECT_TRUE(replay.differences.contains(name))
        << name << " is listed (" << reason << ") but is as recorded: take it off the list";
  }
  EXPECT_LE(replay.differences.size(), 31u);  // at least 90 of 121
  RecordProperty("matching", static_cast<int>(exchanges->size() - replay.differences.size()));
  EXPECT_EQ(server.stop(), 0) << server.log();
}

/// What a span says that does not depend on time or on the text: name, and each attribute's key
/// and type, with the values of those that a request decides.
std::string shape_of(const telemetry::Span& span) {
  static const std::set<std::string> kDecided = {
      "gen_ai.usage.prompt_tokens", "gen_ai.request.max_tokens", "gen_ai.request.n",
      "gen_ai.request.top_p", "gen_ai.request.temperature"};
  std::set<std::string> parts;
  for (const telemetry::KeyValue& attribute : span.attributes) {
    std::string part = attribute.key + ":" + attribute.value.type_name();
    if (kDecided.contains(attribute.key)) part += "=" + attribute.value.text();
    parts.insert(std::move(part));
  }
  std::string shape = span.name + " " + to_string(span.kind);
  for (const std::string& part : parts) shape += " " + part;
  return shape;
}

struct Spans {
  std::map<std::string, std::multiset<std::string>> by_trace;  // shapes
  std::set<std::string> resource_keys;
  std::set<std::string> request_ids;
};

Spans sort_spans(const telemetry::TraceBatch& batch) {
  Spans sorted;
  for (const telemetry::ResourceSpans& resource : batch) {
    for (const auto& attribute : resource.resource.attributes) {
      sorted.resource_keys.insert(attribute.key);
    }
    for (const telemetry::ScopeSpans& scope : resource.scope_spans) {
      EXPECT_EQ(scope.scope.name, "vllm.tracing.otel");
      for (const telemetry::Span& span : scope.spans) {
        sorted.by_trace[span.trace_id.hex()].insert(shape_of(span));
        if (const auto* id = find(span.attributes, "gen_ai.request.id")) {
          sorted.request_ids.insert(id->text());
        }
      }
    }
  }
  return sorted;
}

TEST(Exchanges, LeaveTheSpansThatTheyLeftInVllm) {
  const auto exchanges = test::load_exchanges(kRecording);
  ASSERT_TRUE(exchanges) << exchanges.error().message;
  const auto recording = telemetry::read_otlp_file(kRecordedSpans);
  ASSERT_TRUE(recording) << recording.error().message;
  const Spans recorded = sort_spans(recording->batch);
  auto receiver = RecordingReceiver::start();
  ASSERT_TRUE(receiver) << receiver.error().message;
  ServerProcessOptions options = recorded_options();
  options.flags.insert(options.flags.end(), {"--otlp-traces-endpoint", (*receiver)->endpoint(),
                                             "--request-log", "@requests.jsonl"});
  ServerProcess server(options);
  ASSERT_TRUE(server.ready()) << server.problem();
  Replay replay(server);
  replay.run(*exchanges);
  EXPECT_EQ(server.stop(), 0) << server.log();

  // A client may be slower to hang up than this small model is to end: such a request is whole.
  const auto records = records::read_request_records(server.path("requests.jsonl"));
  ASSERT_TRUE(records) << records.error().message;
  std::set<std::string> ended;
  for (const records::RequestRecord& record : *records) {
    if (record.trace && record.outcome == records::Outcome::kLength) {
      ended.insert(record.trace->trace_id.hex());
    }
  }

  const Spans ours = sort_spans((*receiver)->received());
  EXPECT_EQ(ours.resource_keys, recorded.resource_keys);
  std::set<std::string> no_spans;
  if (!grammar::is_built_in()) no_spans.insert(kStructured);
  size_t compared = 0;
  for (const test::Exchange& exchange : *exchanges) {
    const auto header = exchange.headers.find("traceparent");
    if (header == exchange.headers.end()) continue;
    const auto context = records::parse_trace_context(header->second, "");
    if (!context) continue;  // malformed: a new root
    const std::string trace = context->trace_id.hex();
    const auto found = ours.by_trace.find(trace);
    const auto expected = recorded.by_trace.find(trace);
    if (exchange.aborted && ended.contains(trace)) continue;
    if (expected == recorded.by_trace.end()) {
      EXPECT_EQ(found, ours.by_trace.end()) << exchange.name << " should leave no span";
      continue;
    }
    ASSERT_NE(found, ours.by_trace.end()) << exchange.name << " left no span";
    EXPECT_EQ(found->second, expected->second) << exchange.name;
    compared += found->second.size();
  }
  // 72, less two without a valid traceparent and those that are refused.
  EXPECT_EQ(compared, 70 - no_spans.size());
  for (const char* id : {"cmpl-abc-123-0", "cmpl-body-id-1-0"}) {
    EXPECT_TRUE(ours.request_ids.contains(id)) << id;
  }
}

}  // namespace
}  // namespace touchstone::testing
