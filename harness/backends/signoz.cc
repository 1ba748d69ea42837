// SigNoz: spans by SQL through its query API, page by page of trace ids. Sources: SigNoz v0.138,
// "Query Range API v5" (requestType raw, a clickhouse_sql query; the answer is
// {"status", "data": {"data": {"results": [{"rows": [{"data": {…}}]}]}}}) and "Traces Schema"
// (distributed_signoz_index_v3): attributes by kind in three maps, kind and status as words, events
// as a list of JSON texts, links as one. Whole numbers and fractions are one kind there.
#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "harness/backends/ask.h"
#include "harness/backends/backend.h"

namespace touchstone::harness {
namespace {

using nlohmann::json;
using telemetry::Value;
using Visit = std::function<Status(const telemetry::TraceBatch&)>;

constexpr int64_t kTracesAtOnce = 500;
constexpr int64_t kBucketSeconds = 1800;  // of ts_bucket_start
constexpr char kPath[] = "/api/v5/query_range";
constexpr char kTable[] = "signoz_traces.distributed_signoz_index_v3";
constexpr char kExpected[] = "{\"data\": {\"data\": {\"results\": [{\"rows\": [\u2026]}]}}}";

std::string text_of(const json& row, const char* column) {
  const json value = row.value(column, json());
  return value.is_string() ? value.get<std::string>() : value.is_null() ? "" : value.dump();
}
int64_t number_of(const json& row, const char* column) {
  return parse_int(text_of(row, column)).value_or(0);
}
/// A column that is JSON in text.
json tree_of(const json& row, const char* column) {
  return json::parse(text_of(row, column), nullptr, false);
}

/// Lists are stored as JSON in text.
Value value_of_text(const std::string& text) {
  if (!text.starts_with('[')) return Value(text);
  const json list = json::parse(text, nullptr, false);
  if (!list.is_array()) return Value(text);
  Value::Array items;
  for (const json& item : list) {
    if (!item.is_string()) return Value(text);
    items.emplace_back(item.get<std::string>());
  }
  return Value(std::move(items));
}

Value value_of(const json& item) {
  if (item.is_boolean()) return Value(item.get<bool>());
  if (item.is_number()) {
    const double number = item.get<double>();
    const bool is_whole = std::nearbyint(number) == number && std::abs(number) < 0x1p53;
    return is_whole ? Value(static_cast<int64_t>(number)) : Value(number);
  }
  return value_of_text(item.is_string() ? item.get<std::string>() : item.dump());
}

void add_all(const json& map, telemetry::Attributes& attributes) {
  if (!map.is_object()) return;
  for (const auto& [key, item] : map.items()) attributes.push_back({key, value_of(item)});
}

template <typename Word>
Word word_of(const std::string& text, const std::map<std::string, Word>& words) {
  const auto known = words.find(to_lower(text));
  return known == words.end() ? Word{} : known->second;
}

void read_events(const json& list, telemetry::Span& span) {
  if (!list.is_array()) return;
  for (const json& text : list) {
    const json one = text.is_string() ? json::parse(text.get<std::string>(), nullptr, false) : text;
    if (!one.is_object()) continue;
    telemetry::Event event;
    event.name = text_of(one, "name");
    event.time_unix_ns = number_of(one, "timeUnixNano");
    add_all(one.value("attributeMap", json::object()), event.attributes);
    span.events.push_back(std::move(event));
  }
}

void read_links(const json& list, telemetry::Span& span) {
  if (!list.is_array()) return;
  for (const json& one : list) {
    if (!one.is_object() || text_of(one, "refType") == "CHILD_OF") continue;  // that is the parent
    telemetry::Link link;
    link.trace_id = TraceId::parse(text_of(one, "traceId")).value_or(TraceId());
    link.span_id = SpanId::parse(text_of(one, "spanId")).value_or(SpanId());
    span.links.push_back(std::move(link));
  }
}

/// nullopt: no ids.
std::optional<telemetry::ResourceSpans> spans_of(const json& row) {
  static const std::map<std::string, telemetry::SpanKind> kKinds = {
      {"internal", telemetry::SpanKind::kInternal},
      {"server", telemetry::SpanKind::kServer},
      {"client", telemetry::SpanKind::kClient},
      {"producer", telemetry::SpanKind::kProducer},
      {"consumer", telemetry::SpanKind::kConsumer}};
  static const std::map<std::string, telemetry::StatusCode> kStatuses = {
      {"ok", telemetry::StatusCode::kOk}, {"error", telemetry::StatusCode::kError}};
  const auto trace = TraceId::parse(text_of(row, "trace_id"));
  const auto id = SpanId::parse(text_of(row, "span_id"));
  if (!trace || !id) return std::nullopt;
  telemetry::Span span;
  span.trace_id = *trace;
  span.span_id = *id;
  span.parent_span_id = SpanId::parse(text_of(row, "parent_span_id")).value_or(SpanId());
  span.trace_state = text_of(row, "trace_state");
  span.flags = static_cast<uint32_t>(number_of(row, "flags"));
  span.name = text_of(row, "name");
  span.kind = word_of(text_of(row, "kind_string"), kKinds);
  span.start_unix_ns = number_of(row, "start_ns");
  span.end_unix_ns = span.start_unix_ns + number_of(row, "duration_nano");
  span.status = word_of(text_of(row, "status_code_string"), kStatuses);
  span.status_message = text_of(row, "status_message");
  for (const char* column : {"strings", "numbers", "bools"}) {
    add_all(tree_of(row, column), span.attributes);
  }
  read_events(tree_of(row, "events"), span);
  read_links(tree_of(row, "links"), span);
  telemetry::ResourceSpans group;
  add_all(tree_of(row, "resources"), group.resource.attributes);
  group.scope_spans.push_back({{}, {}, {std::move(span)}});
  return group;
}

class SignozBackend final : public SpanBackend {
 public:
  explicit SignozBackend(BackendAddress address) : address_(std::move(address)) {}

  Result<BackendRead> read(const TimeWindow& window, const Visit& visit) override {
    BackendRead read;
    std::string last;
    for (;;) {
      const auto rows = page(window, last);
      if (!rows) return rows.error();
      if (rows->empty()) return read;
      telemetry::TraceBatch batch;
      for (const json& row : *rows) {
        const json data = row.is_object() ? row.value("data", json()) : json();
        auto group = data.is_object() ? spans_of(data) : std::nullopt;
        if (!group) return unexpected_answer(address_, kPath, kExpected);
        const std::string id = text_of(data, "trace_id");
        last = std::max(last, id);
        batch.push_back(*std::move(group));
      }
      read.spans += telemetry::span_count(batch);
      RETURN_IF_ERROR(visit(batch));
    }
  }

 private:
  /// All spans of the traces that follow `last`, by id.
  Result<json> page(const TimeWindow& window, const std::string& last) {
    const auto text = ask_with_body(address_, kPath, {}, "application/json", body(window, last));
    if (!text) return text.error();
    auto tree = parse_answer(address_, kPath, *text, kExpected);
    if (!tree) return std::move(tree).error();
    const json::json_pointer results("/data/data/results");
    if (!tree->is_object() || !tree->contains(results) || !(*tree)[results].is_array()) {
      return unexpected_answer(address_, kPath, kExpected);
    }
    json rows = json::array();
    for (const json& result : (*tree)[results]) {
      if (!result.is_object()) return unexpected_answer(address_, kPath, kExpected);
      for (const json& row : result.value("rows", json::array())) rows.push_back(row);
    }
    return rows;
  }

  static std::string body(const TimeWindow& window, const std::string& last) {
    const int64_t first_s = window.start_unix_ns / kNsPerSecond - kBucketSeconds;
    const int64_t last_s = (window.end_unix_ns - 1) / kNsPerSecond;
    const std::string ids =
        "SELECT DISTINCT trace_id FROM " + std::string(kTable) +
        " WHERE timestamp >= fromUnixTimestamp64Nano(" + std::to_string(window.start_unix_ns) +
        ") AND timestamp < fromUnixTimestamp64Nano(" + std::to_string(window.end_unix_ns) +
        ") AND ts_bucket_start >= " + std::to_string(std::max<int64_t>(0, first_s)) +
        " AND ts_bucket_start <= " + std::to_string(last_s) + " AND trace_id > '" + last +
        "' ORDER BY trace_id LIMIT " + std::to_string(kTracesAtOnce);
    const std::string sql =
        "SELECT trace_id, span_id, parent_span_id, trace_state, flags, name, kind_string, "
        "toString(toUnixTimestamp64Nano(timestamp)) AS start_ns, toString(duration_nano) AS "
        "duration_nano, status_code_string, status_message, toJSONString(attributes_string) AS "
        "strings, toJSONString(attributes_number) AS numbers, toJSONString(attributes_bool) AS "
        "bools, toJSONString(resources_string) AS resources, toJSONString(events) AS events, links "
        "FROM " +
        std::string(kTable) + " WHERE trace_id GLOBAL IN (" + ids + ")";
    const json query = {{"type", "clickhouse_sql"}, {"spec", {{"name", "A"}, {"query", sql}}}};
    const json request = {{"start", window.start_unix_ns / kNsPerMs},
                          {"end", window.end_unix_ns / kNsPerMs},
                          {"requestType", "raw"},
                          {"compositeQuery", {{"queries", json::array({query})}}}};
    return request.dump();
  }

  const BackendAddress address_;
};

}  // namespace

std::unique_ptr<SpanBackend> make_signoz_backend(const BackendAddress& address) {
  return std::make_unique<SignozBackend>(address);
}

}  // namespace touchstone::harness
