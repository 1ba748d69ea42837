// What a backend loses is said and not judged; SigNoz's rows become spans again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "conformance/profile_set.h"
#include "harness/audit.h"
#include "harness/sink/json_values.h"
#include "tests/backends/scripted_backend.h"
#include "tests/backends/spans.h"
#include "tests/support/paths.h"

namespace touchstone::harness {
namespace {

using nlohmann::json;

constexpr int64_t kNow = 1'795'700'000'000'000'000;

const result::CheckOutcome& check_of(const result::Report& report, const std::string& id) {
  for (const result::CheckOutcome& check : report.checks) {
    if (check.id == id) return check;
  }
  ADD_FAILURE() << "no check " << id;
  static const result::CheckOutcome kNone;
  return kNone;
}

/// As SigNoz stores a span: attributes by kind, numbers as floating point, lists as text.
json signoz_row(const telemetry::Span& span, const telemetry::Resource& resource) {
  static constexpr const char* kStatuses[] = {"Unset", "Ok", "Error"};
  static constexpr const char* kKinds[] = {"Unspecified", "Internal", "Server",
                                           "Client",      "Producer", "Consumer"};
  json strings = json::object();
  json numbers = json::object();
  json bools = json::object();
  for (const telemetry::KeyValue& one : span.attributes) {
    const json value = plain_json(one.value);
    if (value.is_number()) {
      numbers[one.key] = value.get<double>();
    } else if (value.is_boolean()) {
      bools[one.key] = value;
    } else {
      strings[one.key] = value.is_string() ? value.get<std::string>() : value.dump();
    }
  }
  json resources = json::object();
  for (const telemetry::KeyValue& one : resource.attributes) resources[one.key] = one.value.text();
  json events = json::array();
  for (const telemetry::Event& event : span.events) {
    json attributes = json::object();
    for (const auto& one : event.attributes) attributes[one.key] = plain_json(one.value);
    events.push_back(json{
        {"name", event.name}, {"timeUnixNano", event.time_unix_ns}, {"attributeMap", attributes}}
                         .dump());
  }
  json links = json::array({{{"traceId", span.trace_id.hex()},
                             {"spanId", span.parent_span_id.hex()},
                             {"refType", "CHILD_OF"}}});
  return {{"trace_id", span.trace_id.hex()},
          {"span_id", span.span_id.hex()},
          {"parent_span_id", span.parent_span_id.is_valid() ? span.parent_span_id.hex() : ""},
          {"trace_state", span.trace_state},
          {"flags", span.flags},
          {"name", span.name},
          {"kind_string", kKinds[static_cast<int>(span.kind)]},
          {"start_ns", std::to_string(span.start_unix_ns)},
          {"duration_nano", std::to_string(span.end_unix_ns - span.start_unix_ns)},
          {"status_code_string", kStatuses[static_cast<int>(span.status)]},
          {"status_message", span.status_message},
          {"strings", strings.dump()},
          {"numbers", numbers.dump()},
          {"bools", bools.dump()},
          {"resources", resources.dump()},
          {"events", events.dump()},
          {"links", links.dump()}};
}

/// Answers the first page with all spans, the next with none; holds the request against what
/// SigNoz's documentation says of it.
http::HttpResponse signoz_answer(const http::HttpRequest& request,
                                 const telemetry::TraceBatch& spans) {
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/api/v5/query_range");
  EXPECT_EQ(request.header("signoz-api-key"), "secret");
  const json body = json::parse(request.body, nullptr, false);
  EXPECT_EQ(body["requestType"], "raw") << body;
  EXPECT_TRUE(body["start"].is_number_integer());
  const json query = body["compositeQuery"]["queries"][0];
  EXPECT_EQ(query["type"], "clickhouse_sql");
  const std::string sql = query["spec"]["query"];
  EXPECT_THAT(sql, ::testing::HasSubstr("FROM signoz_traces.distributed_signoz_index_v3"));
  json rows = json::array();
  if (sql.find("trace_id > ''") != std::string::npos) {
    for (const telemetry::ResourceSpans& group : spans) {
      for (const telemetry::ScopeSpans& scoped : group.scope_spans) {
        for (const telemetry::Span& span : scoped.spans) {
          rows.push_back(
              {{"timestamp", "0001-01-01T00:00:00Z"}, {"data", signoz_row(span, group.resource)}});
        }
      }
    }
  }
  const json data = {{"type", "raw"},
                     {"meta", json::object()},
                     {"data", {{"results", json::array({{{"queryName", "A"}, {"rows", rows}}})}}}};
  return json_response(200, {{"status", "success"}, {"data", data}});
}

TEST(Signoz, RowsBecomeTheSpansThatTheyWere) {
  auto spans = recorded_spans("fixtures/spans/vllm-0.32.0/spans.otlp.jsonl");
  ScriptedBackend server(
      [&](const auto& request, const auto&) { return signoz_answer(request, spans); });
  auto address = parse_backend("signoz=" + server.url());
  ASSERT_TRUE(address.has_value());
  address->access.headers = {{"SIGNOZ-API-KEY", "secret"}};
  telemetry::TraceBatch read;
  const auto done =
      make_signoz_backend(*address)->read({0, kNow}, [&](const telemetry::TraceBatch& batch) {
        read.insert(read.end(), batch.begin(), batch.end());
        return Status();
      });
  ASSERT_TRUE(done.has_value()) << done.error().message;
  // What is declared as lost: scopes, schema URLs, whole numbers among fractions, types of
  // resource attributes.
  const auto without_losses = [](telemetry::TraceBatch batch) {
    for (auto& group : batch) {
      group.schema_url.clear();
      for (auto& one : group.resource.attributes) one.value = telemetry::Value(one.value.text());
      for (auto& scoped : group.scope_spans) {
        scoped.scope = {};
        scoped.schema_url.clear();
        for (auto& span : scoped.spans) {
          for (auto& one : span.attributes) {
            const double* number = one.value.number();
            if (number != nullptr && *number == static_cast<double>(static_cast<int64_t>(*number)))
              one.value = telemetry::Value(static_cast<int64_t>(*number));
          }
        }
      }
    }
    return batch;
  };
  EXPECT_EQ(as_texts(without_losses(read)), as_texts(without_losses(spans)));
}

TEST(Losses, LeaveTheirChecksOutWithTheReason) {
  auto spans = recorded_spans("fixtures/spans/vllm-0.32.0/spans.otlp.jsonl");
  ScriptedBackend server(
      [&](const auto& request, const auto&) { return signoz_answer(request, spans); });
  auto address = parse_backend("signoz=" + server.url());
  address->access.headers = {{"SIGNOZ-API-KEY", "secret"}};
  const auto profiles = conformance::load_profiles({"vllm-v1"});
  ASSERT_TRUE(profiles.has_value());
  const auto judged =
      audit({.paths = {}, .backends = {*address}, .window = {}}, kNow, *profiles, {});
  ASSERT_TRUE(judged.has_value()) << judged.error().message;
  const result::Report& report = judged->report;
  EXPECT_EQ(report.verdict, result::Verdict::kPass) << report.summary;
  EXPECT_EQ(check_of(report, "span.attribute.required").verdict, result::Verdict::kPass);
  for (const char* id : {"span.attribute.type", "span.scope", "span.dropped"}) {
    const result::CheckOutcome& check = check_of(report, id);
    EXPECT_EQ(check.verdict, result::Verdict::kSkip) << id;
    EXPECT_THAT(check.reason, ::testing::HasSubstr("signoz does not give back")) << id;
  }
  EXPECT_THAT(report.notes, ::testing::Contains(::testing::HasSubstr(
                                "signoz does not give back scopes: span.scope was not judged")));
}

TEST(Losses, AProfileThatNeedsWhatIsLostIsRefused) {
  const auto profiles = conformance::load_profiles({"audit"});
  ASSERT_TRUE(profiles.has_value());
  const auto judged =
      audit({.paths = {}, .backends = {*parse_backend("signoz=http://127.0.0.1:1")}, .window = {}},
            kNow, *profiles, {});
  ASSERT_FALSE(judged.has_value());
  EXPECT_EQ(judged.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(judged.error().message, ::testing::HasSubstr("signoz does not give back scopes"));
}

}  // namespace
}  // namespace touchstone::harness
