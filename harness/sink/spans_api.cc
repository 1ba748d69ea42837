#include "base/clock.h"
#include "base/text.h"
#include "harness/sink/json_values.h"
#include "harness/sink/query_api.h"

namespace touchstone::harness {
namespace {

using nlohmann::json;

constexpr size_t kLimitDefault = 20;

json merged_attributes(const StoredSpan& stored) {
  json merged = json::object();
  const auto add = [&](const telemetry::Attributes& attributes) {
    for (const telemetry::KeyValue& one : attributes) {
      if (!merged.contains(one.key)) merged[one.key] = plain_json(one.value);
    }
  };
  add(stored.span.attributes);
  add(stored.source->resource.attributes);
  return merged;
}

json span_json(const StoredSpan& stored) {
  static constexpr const char* kStatuses[] = {"UNSET", "OK", "ERROR"};
  const telemetry::Span& span = stored.span;
  return {{"trace_id", span.trace_id.hex()},
          {"span_id", span.span_id.hex()},
          {"parent_span_id", span.parent_span_id.is_valid() ? span.parent_span_id.hex() : ""},
          {"name", span.name},
          {"kind", telemetry::to_string(span.kind)},
          {"service", stored.source->service()},
          {"scope", stored.source->scope.name},
          {"start_time_ns", span.start_unix_ns},
          {"end_time_ns", span.end_unix_ns},
          {"status", kStatuses[static_cast<int>(span.status)]},
          {"attributes", merged_attributes(stored)}};
}

}  // namespace

std::optional<http::HttpResponse> answer_spans(const SpanStore& store, const std::string& path,
                                               const http::Query& query) {
  if (path != "/api/v1/spans") return std::nullopt;
  SpanQuery wanted;
  wanted.limit = kLimitDefault;
  wanted.service = query.value({"service"});
  for (const char* name : {"start", "end", "limit"}) {
    const auto text = query.value({name});
    if (!text) continue;
    const auto number = parse_int(*text);
    if (!number || *number < 0 || *number > INT64_MAX / kNsPerMs) {
      return json_response(400, {{"error", std::string(name) + ": got " + quote(*text) +
                                               ", expected milliseconds since 1970, or a count"}});
    }
    if (*name == 's') wanted.start_unix_ns = *number * kNsPerMs;
    if (*name == 'e') wanted.end_unix_ns = *number * kNsPerMs + kNsPerMs - 1;
    if (*name == 'l') wanted.limit = static_cast<size_t>(*number);
  }
  json spans = json::array();
  for (const StoredSpan& one : store.spans(wanted)) spans.push_back(span_json(one));
  return json_response(200, {{"spans", std::move(spans)}});
}

}  // namespace touchstone::harness
