// The adapter's SQL in a real ClickHouse: chdb behind tests/backends/chdb_front.py, in the schema
// of the Collector's exporter. TOUCHSTONE_CHDB_PYTHON names a Python that has it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/text.h"
#include "conformance/profile_set.h"
#include "harness/audit.h"
#include "harness/backends/clickhouse_sql.h"
#include "http/client.h"
#include "tests/backends/command.h"
#include "tests/backends/spans.h"
#include "tests/support/paths.h"

namespace touchstone::harness {
namespace {

constexpr int64_t kNow = 1'795'700'000'000'000'000;

// traces_table.sql of the exporter v0.155.0, without codecs, indices and TTL.
constexpr char kTable[] = R"(CREATE TABLE otel.otel_traces (
  Timestamp DateTime64(9), TraceId String, SpanId String, ParentSpanId String, TraceState String,
  SpanName LowCardinality(String), SpanKind LowCardinality(String),
  ServiceName LowCardinality(String), ResourceAttributes Map(LowCardinality(String), String),
  ScopeName String, ScopeVersion String, SpanAttributes Map(LowCardinality(String), String),
  Duration UInt64, StatusCode LowCardinality(String), StatusMessage String,
  Events Nested (Timestamp DateTime64(9), Name LowCardinality(String),
                 Attributes Map(LowCardinality(String), String)),
  Links Nested (TraceId String, SpanId String, TraceState String,
                Attributes Map(LowCardinality(String), String))
) ENGINE = MergeTree PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, SpanName, toDateTime(Timestamp)))";

std::string map_sql(const telemetry::Attributes& attributes) {
  std::string text;
  for (const telemetry::KeyValue& one : attributes) {
    text += (text.empty() ? "" : ", ") + sql_text(one.key) + ", " + sql_text(one.value.text());
  }
  return text.empty() ? "map()" : "map(" + text + ")";
}

std::string row_sql(const telemetry::Span& span, const telemetry::Resource& resource,
                    const telemetry::Scope& scope) {
  static constexpr const char* kKinds[] = {"Unspecified", "Internal", "Server",
                                           "Client",      "Producer", "Consumer"};
  static constexpr const char* kStatuses[] = {"Unset", "Ok", "Error"};
  const telemetry::Value* service = telemetry::find(resource.attributes, "service.name");
  const auto id = [](const SpanId& one) { return one.is_valid() ? one.hex() : ""; };
  return "(fromUnixTimestamp64Nano(" + std::to_string(span.start_unix_ns) + "), " +
         join({sql_text(span.trace_id.hex()), sql_text(id(span.span_id)),
               sql_text(id(span.parent_span_id)), "''", sql_text(span.name),
               sql_text(kKinds[static_cast<int>(span.kind)]),
               sql_text(service == nullptr ? "" : service->text()), map_sql(resource.attributes),
               sql_text(scope.name), sql_text(scope.version), map_sql(span.attributes),
               std::to_string(span.end_unix_ns - span.start_unix_ns),
               sql_text(kStatuses[static_cast<int>(span.status)]), sql_text(span.status_message)},
              ", ") +
         ")";
}

class RealClickHouse : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* python = std::getenv("TOUCHSTONE_CHDB_PYTHON");
    if (python == nullptr) {
      GTEST_SKIP() << "TOUCHSTONE_CHDB_PYTHON names no Python with chdb";
    }
    auto child = ChildProcess::spawn(
        {.name = "chdb",
         .argv = {python, support::source_dir() + "/tests/backends/chdb_front.py"},
         .log_path = folder_.path() + "/log",
         .stdout_path = folder_.path() + "/port"},
        supervision_);
    ASSERT_TRUE(child.has_value()) << child.error().message;
    child_ = *std::move(child);
    const Status ready = child_->wait_until(
        [&] {
          const auto text = read_file(folder_.path() + "/port");
          port_ = text && text->ends_with('\n') ? std::string(trim(*text)) : "";
          return !port_.empty();
        },
        "its port", 120 * kNsPerSecond);
    ASSERT_TRUE(ready.has_value()) << ready.error().message;
    sql("CREATE DATABASE otel");
    sql(kTable);
  }

  void sql(const std::string& text) const {
    const auto answer = http::http_send(
        {.method = "POST", .url = url() + "/?x=", .content_type = {}, .body = text}, kLong);
    ASSERT_TRUE(answer.has_value()) << answer.error().message;
    ASSERT_EQ(answer->status, 200) << answer->body << text;
  }
  void insert(const telemetry::TraceBatch& batch) const {
    std::vector<std::string> rows;
    for (const auto& group : batch) {
      for (const auto& scoped : group.scope_spans) {
        for (const auto& span : scoped.spans) {
          rows.push_back(row_sql(span, group.resource, scoped.scope));
        }
      }
    }
    sql("INSERT INTO otel.otel_traces (Timestamp, TraceId, SpanId, ParentSpanId, TraceState, "
        "SpanName, SpanKind, ServiceName, ResourceAttributes, ScopeName, ScopeVersion, "
        "SpanAttributes, Duration, StatusCode, StatusMessage) VALUES " +
        join(rows, ", "));
  }
  std::string url() const { return "http://127.0.0.1:" + port_; }

  /// In ClickHouse, or of the file.
  conformance::JudgedFiles judged(bool in_place, const TimeWindow& window) const {
    conformance::EvidencePaths paths;
    paths.ledger = support::source_dir() + "/" + kAuditLedger;
    AuditSources sources{.paths = paths, .backends = {}, .window = window};
    if (in_place) {
      sources.backends.push_back(*parse_backend("clickhouse=" + url() + "/otel"));
    } else {
      sources.paths.spans = {support::source_dir() + "/" + kAuditSpans};
    }
    auto result = audit(sources, kNow, *conformance::load_profiles({"audit"}), {.sightings = true});
    BASE_CHECK(result.has_value(), result.error().message);
    return *std::move(result);
  }

  static constexpr int64_t kLong = 60 * kNsPerSecond;
  const RealClock clock_;
  const Supervision supervision_{clock_};
  TemporaryDirectory folder_ = *TemporaryDirectory::make("touchstone-chdb");
  std::unique_ptr<ChildProcess> child_;
  std::string port_;
};

/// What both ways say of attributes, of all spans and by group.
std::vector<std::string> seen(const result::Report& report) {
  std::vector<std::string> rows;
  for (const result::Sighting& row : report.sightings) {
    if (!row.group.empty()) continue;
    rows.push_back(
        row.span_type + " " + row.attribute + " " + std::to_string(row.present) + "/" +
        std::to_string(row.total) + " " + std::to_string(row.first_seen_unix_ns.value_or(0)) + " " +
        std::to_string(row.last_seen_unix_ns.value_or(0)) + " " + join(row.missing_in, ","));
  }
  return rows;
}

result::Verdict verdict_of(const result::Report& report, const std::string& id) {
  for (const result::CheckOutcome& check : report.checks) {
    if (check.id == id) return check.verdict;
  }
  return result::Verdict::kUnknown;
}

TEST_F(RealClickHouse, CountsWhatTheJudgeCounts) {
  insert(recorded_spans());
  const int64_t middle = 1'795'614'916'500'000'000;
  for (const TimeWindow& window : {TimeWindow{0, kNow}, TimeWindow{middle, kNow}}) {
    const auto there = judged(true, window);
    const auto here = judged(false, window);
    EXPECT_EQ(seen(there.report), seen(here.report));
    for (const char* id : {"span.attribute.required", "span.attribute.enum", "resource.required",
                           "completeness.missing", "completeness.surplus",
                           "completeness.unexplained", "coverage.window"}) {
      EXPECT_EQ(verdict_of(there.report, id), result::Verdict::kPass) << id;
      EXPECT_EQ(verdict_of(here.report, id), result::Verdict::kPass) << id;
    }
    EXPECT_EQ(there.report.verdict, here.report.verdict);
  }
}

TEST_F(RealClickHouse, FindsWhatIsWrong) {
  auto spans = recorded_spans();
  auto& first = spans[0].scope_spans[0].spans[0];
  std::erase_if(first.attributes, [](const auto& one) { return one.key == "gen_ai.model.id"; });
  for (auto& one : spans[1].scope_spans[0].spans[0].attributes) {
    if (one.key == "gen_ai.system") one.value = telemetry::Value("other");
  }
  spans.pop_back();  // lost spans
  insert(spans);
  const auto there = judged(true, {0, kNow});
  for (const char* id :
       {"span.attribute.required", "span.attribute.enum", "completeness.missing"}) {
    EXPECT_EQ(verdict_of(there.report, id), result::Verdict::kFail) << id;
  }
  EXPECT_EQ(result::exit_code(there.report), 1);
}

}  // namespace
}  // namespace touchstone::harness
