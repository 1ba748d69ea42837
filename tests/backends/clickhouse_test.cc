// ClickHouse: the questions asked, over a server that answers them by counting the recorded spans
// itself, and what becomes of the answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>

#include "base/text.h"
#include "conformance/profile_set.h"
#include "harness/audit.h"
#include "harness/backends/clickhouse_sql.h"
#include "tests/backends/scripted_backend.h"
#include "tests/backends/spans.h"
#include "tests/support/paths.h"

namespace touchstone::harness {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr int64_t kNow = 1'795'700'000'000'000'000;

TEST(ClickHouseSql, QuotesWhatItIsGiven) {
  EXPECT_EQ(sql_text("it's \\ here"), "'it\\'s \\\\ here'");
}

TEST(ClickHouseSql, TellsTypesAsTheJudgeDoes) {
  const auto profiles = conformance::load_profiles({"vllm-v1", "audit"});
  ASSERT_TRUE(profiles.has_value());
  const auto conditions = type_conditions(*profiles);
  ASSERT_EQ(conditions.size(), 2u);
  EXPECT_THAT(conditions[1][0], HasSubstr("ScopeName = 'touchstone.audit'"));
  EXPECT_THAT(conditions[0][0],
              HasSubstr("AND NOT ((SpanName = 'llm_request' AND ScopeName = 'touchstone.audit'"))
      << "who names the scope has the span alone";
}

/// The spans as rows of otel_traces, asked in the forms of SQL that the adapter uses. Whatever else
/// is asked fails the test.
class OtelTraces final {
 public:
  explicit OtelTraces(telemetry::TraceBatch spans) : spans_(std::move(spans)) {}

  http::HttpResponse answer(const http::HttpRequest& request, const http::Query& query) const {
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(query.value({"default_format"}), "JSONEachRow");
    const std::string& sql = request.body;
    EXPECT_THAT(sql, HasSubstr("FROM `otel`.`otel_traces`"));
    std::string text;
    if (sql.find("GROUP BY TraceId") != std::string::npos) {
      for (const json& row : traces(sql)) text += row.dump() + "\n";
    } else if (sql.find("GROUP BY group_name") == std::string::npos) {
      text = counts(sql).dump() + "\n";
    } else {
      json row = counts(sql);
      row["group_name"] = "vllm";
      text = row.dump() + "\n";
    }
    return {200, "application/x-ndjson", {}, text};
  }

 private:
  void for_each(
      const std::function<void(const telemetry::Span&, const telemetry::Resource&)>& visit) const {
    for (const auto& group : spans_) {
      for (const auto& scoped : group.scope_spans) {
        for (const auto& span : scoped.spans) visit(span, group.resource);
      }
    }
  }

  /// Each `countIf(1 AND mapContains(MAP, 'KEY')) AS present_N` and what belongs to it.
  json counts(const std::string& sql) const {
    const bool is_of_request = sql.find(" AND (SpanName = 'llm_request'") != std::string::npos;
    if (sql.find("countIf(") != std::string::npos && !is_of_request) {
      return {{"spans", 0}};  // of another type than all of these
    }
    json row = {
        {"spans", std::to_string(telemetry::span_count(spans_))}};  // quoted, as servers may
    static const std::regex kPresent(
        "countIf\\(1 AND mapContains\\((Span|Resource)Attributes, '([^']+)'\\)\\) AS "
        "present_(\\d+)");
    for (auto found = std::sregex_iterator(sql.begin(), sql.end(), kPresent);
         found != std::sregex_iterator(); ++found) {
      const bool of_span = (*found)[1] == "Span";
      const std::string key = (*found)[2];
      const std::string number = (*found)[3];
      int64_t present = 0, total = 0, first = INT64_MAX, last = 0;
      json services = json::array();
      for_each([&](const telemetry::Span& span, const telemetry::Resource& resource) {
        ++total;
        const auto& attributes = of_span ? span.attributes : resource.attributes;
        if (telemetry::find(attributes, key) == nullptr) {
          services = {"vllm-inference"};
          return;
        }
        ++present;
        first = std::min(first, span.start_unix_ns);
        last = std::max(last, span.start_unix_ns);
      });
      row["due_" + number] = total;
      row["present_" + number] = present;
      row["first_" + number] = first;
      row["last_" + number] = std::to_string(last);
      row["services_" + number] = services;
      row["trace_" + number] = "838c0a4ba5849364ee688f540bd417a1";
      row["span_" + number] = "ddcb4a9a560d5c26";
      row["wrong_" + number] = 0;
    }
    return row;
  }

  std::vector<json> traces(const std::string& sql) const {
    std::vector<json> rows;
    for_each([&](const telemetry::Span& span, const telemetry::Resource&) {
      if (sql.find("'" + span.trace_id.hex() + "'") == std::string::npos) return;
      rows.push_back({{"TraceId", span.trace_id.hex()},
                      {"ParentSpanId", span.parent_span_id.hex()},
                      {"spans", {span.span_id.hex()}},
                      {"in_window", 1}});
    });
    return rows;
  }

  const telemetry::TraceBatch spans_;
};

Result<conformance::JudgedFiles> audit_of(const telemetry::TraceBatch& spans,
                                          const std::string& ledger = "") {
  const OtelTraces table(spans);
  ScriptedBackend server(
      [&](const auto& request, const auto& query) { return table.answer(request, query); });
  const auto profiles = conformance::load_profiles({"audit"});
  auto address = parse_backend("clickhouse=" + server.url() + "/otel");
  BASE_CHECK(profiles.has_value() && address.has_value());
  conformance::EvidencePaths paths;
  paths.ledger = ledger;
  return audit({.paths = paths, .backends = {*address}, .window = TimeWindow{0, kNow}}, kNow,
               *profiles, {.sightings = true});
}

const result::CheckOutcome& check_of(const result::Report& report, const std::string& id) {
  const auto found = std::find_if(report.checks.begin(), report.checks.end(),
                                  [&](const auto& check) { return check.id == id; });
  BASE_CHECK(found != report.checks.end(), id);
  return *found;
}

TEST(ClickHouse, JudgesPresenceAndCompletenessWhereTheSpansLie) {
  const auto judged = audit_of(recorded_spans(), support::source_dir() + "/" + kAuditLedger);
  ASSERT_TRUE(judged.has_value()) << judged.error().message;
  EXPECT_EQ(judged->spans, 15);
  EXPECT_EQ(judged->report.verdict, result::Verdict::kPass) << judged->report.summary;
  EXPECT_EQ(check_of(judged->report, "completeness.missing").verdict, result::Verdict::kPass);
  EXPECT_EQ(check_of(judged->report, "completeness.unexplained").verdict, result::Verdict::kPass);
  EXPECT_EQ(check_of(judged->report, "coverage.window").verdict, result::Verdict::kPass);
  EXPECT_THAT(judged->report.notes,
              ::testing::Contains(HasSubstr("types (all values are text there)")));
  const result::Sighting& first = judged->report.sightings.front();
  EXPECT_EQ(first.total, 15);
  EXPECT_EQ(first.first_seen_unix_ns, 1'795'614'915'820'998'877);
  EXPECT_THAT(judged->report.sightings,
              ::testing::Contains(::testing::Field(&result::Sighting::group, "tenant vllm")));
}

TEST(ClickHouse, SaysWhatIsMissingAndWhere) {
  auto spans = recorded_spans();
  spans[0].scope_spans[0].spans.pop_back();  // lost
  std::erase_if(spans[1].scope_spans[0].spans[0].attributes,
                [](const auto& one) { return one.key == "gen_ai.model.id"; });
  const auto judged = audit_of(spans, support::source_dir() + "/" + kAuditLedger);
  ASSERT_TRUE(judged.has_value()) << judged.error().message;
  EXPECT_EQ(judged->report.verdict, result::Verdict::kFail);
  const result::CheckOutcome& required = check_of(judged->report, "span.attribute.required");
  ASSERT_EQ(required.findings.size(), 1u);
  EXPECT_THAT(required.findings[0].message,
              HasSubstr("carry gen_ai.model.id, which is missing on 1 of 14"));
  EXPECT_THAT(check_of(judged->report, "completeness.missing").findings[0].message,
              HasSubstr("owed spans are missing"));
}

TEST(ClickHouse, NoSpanIsNoPass) {
  const auto judged = audit_of({});
  ASSERT_TRUE(judged.has_value()) << judged.error().message;
  EXPECT_EQ(result::exit_code(judged->report), 3);
}

TEST(ClickHouse, StandsAloneBecauseNothingIsReadFromIt) {
  const auto profiles = conformance::load_profiles({"audit"});
  const auto address = *parse_backend("clickhouse=http://127.0.0.1:1/otel");
  const auto judged =
      audit({.paths = {}, .backends = {address, address}, .window = {}}, kNow, *profiles, {});
  ASSERT_FALSE(judged.has_value());
  EXPECT_THAT(judged.error().message, HasSubstr("judged where it lies"));
}

}  // namespace
}  // namespace touchstone::harness
