#include <map>

#include "base/clock.h"
#include "base/text.h"
#include "harness/sink/json_values.h"
#include "harness/sink/query_api.h"

namespace touchstone::harness {
namespace {

using http::HttpResponse;
using nlohmann::json;
using telemetry::Value;

HttpResponse envelope(json data) {
  const size_t total = data.size();
  return json_response(200, {{"data", std::move(data)},
                             {"total", total},
                             {"limit", 0},
                             {"offset", 0},
                             {"errors", nullptr}});
}

HttpResponse failure(int status, const std::string& message) {
  return json_response(status, {{"data", nullptr},
                                {"total", 0},
                                {"limit", 0},
                                {"offset", 0},
                                {"errors", {{{"code", status}, {"msg", message}}}}});
}

json tag(const std::string& key, const Value& value) {
  if (const int64_t* number = value.integer()) {
    return {{"key", key}, {"type", "int64"}, {"value", *number}};
  }
  if (const double* number = value.number()) {
    return {{"key", key}, {"type", "float64"}, {"value", *number}};
  }
  if (const bool* flag = std::get_if<bool>(&value.data)) {
    return {{"key", key}, {"type", "bool"}, {"value", *flag}};
  }
  return {{"key", key}, {"type", "string"}, {"value", value.text()}};
}

json tags(const telemetry::Attributes& attributes) {
  json list = json::array();
  for (const telemetry::KeyValue& one : attributes) list.push_back(tag(one.key, one.value));
  return list;
}

json tags_of(const StoredSpan& stored) {
  const telemetry::Span& span = stored.span;
  json list = tags(span.attributes);
  const auto add = [&](const char* key, const std::string& text) {
    if (!text.empty()) list.push_back(tag(key, Value(text)));
  };
  add("otel.scope.name", stored.source->scope.name);
  add("otel.scope.version", stored.source->scope.version);
  if (span.kind != telemetry::SpanKind::kUnspecified) {
    add("span.kind", to_lower(telemetry::to_string(span.kind)));
  }
  if (span.status == telemetry::StatusCode::kError) {
    add("otel.status_code", "ERROR");
    list.push_back(tag("error", Value(true)));
  } else if (span.status == telemetry::StatusCode::kOk) {
    add("otel.status_code", "OK");
  }
  add("otel.status_description", span.status_message);
  add("w3c.tracestate", span.trace_state);
  return list;
}

json logs_of(const telemetry::Span& span) {
  json list = json::array();
  for (const telemetry::Event& event : span.events) {
    json fields = tags(event.attributes);
    fields.push_back(tag("event", Value(event.name)));
    list.push_back({{"timestamp", event.time_unix_ns / kNsPerUs}, {"fields", std::move(fields)}});
  }
  return list;
}

json references_of(const telemetry::Span& span) {
  json list = json::array();
  const auto add = [&](const char* type, const TraceId& trace, const SpanId& id) {
    list.push_back({{"refType", type}, {"traceID", trace.hex()}, {"spanID", id.hex()}});
  };
  if (span.parent_span_id.is_valid()) add("CHILD_OF", span.trace_id, span.parent_span_id);
  for (const telemetry::Link& link : span.links) add("FOLLOWS_FROM", link.trace_id, link.span_id);
  return list;
}

json trace_json(const StoredTrace& trace) {
  json spans = json::array();
  json processes = json::object();
  std::map<const SpanSource*, std::string> names;
  for (const StoredSpan& stored : trace) {
    const auto [known, is_new] =
        names.try_emplace(stored.source.get(), "p" + std::to_string(names.size() + 1));
    if (is_new) {
      telemetry::Attributes rest = stored.source->resource.attributes;
      std::erase_if(rest, [](const auto& one) { return one.key == "service.name"; });
      processes[known->second] = {{"serviceName", stored.source->service()}, {"tags", tags(rest)}};
    }
    const telemetry::Span& span = stored.span;
    spans.push_back({{"traceID", span.trace_id.hex()},
                     {"spanID", span.span_id.hex()},
                     {"operationName", span.name},
                     {"references", references_of(span)},
                     {"startTime", span.start_unix_ns / kNsPerUs},
                     {"duration", (span.end_unix_ns - span.start_unix_ns) / kNsPerUs},
                     {"tags", tags_of(stored)},
                     {"logs", logs_of(span)},
                     {"processID", known->second},
                     {"warnings", nullptr}});
  }
  return {{"traceID", trace.front().span.trace_id.hex()},
          {"spans", std::move(spans)},
          {"processes", std::move(processes)},
          {"warnings", nullptr}};
}

/// What is wrong with the query, or nothing.
std::optional<std::string> read_numbers(const http::Query& query, SpanQuery& wanted) {
  const auto micros = [&](const char* name, std::optional<int64_t>& into) {
    const auto text = query.value({name});
    if (!text) return true;
    const auto number = parse_int(*text);
    if (!number || *number < 0 || *number > INT64_MAX / kNsPerUs) return false;
    into = *number * kNsPerUs;
    return true;
  };
  const auto duration = [&](const char* name, std::optional<int64_t>& into) {
    const auto text = query.value({name});
    if (!text || text->empty()) return true;
    const auto parsed = parse_duration_ns(*text);
    if (parsed) into = *parsed;
    return parsed.has_value();
  };
  if (!micros("start", wanted.start_unix_ns)) return "start: expected microseconds since 1970";
  if (!micros("end", wanted.end_unix_ns)) return "end: expected microseconds since 1970";
  if (wanted.end_unix_ns) *wanted.end_unix_ns += kNsPerUs - 1;
  if (!duration("minDuration", wanted.duration_min_ns)) return "minDuration: expected as 1ms";
  if (!duration("maxDuration", wanted.duration_max_ns)) return "maxDuration: expected as 1ms";
  const auto limit = query.value({"limit"});
  const auto number = limit ? parse_int(*limit) : std::optional<int64_t>(100);
  if (!number || *number < 1) return "limit: expected a count from 1";
  wanted.limit = static_cast<size_t>(*number);
  return std::nullopt;
}

HttpResponse find_traces(const SpanStore& store, const http::Query& query) {
  std::vector<StoredTrace> found;
  const std::vector<std::string> ids = query.values("traceID");
  for (const std::string& text : ids) {
    const auto id = TraceId::parse(text);
    if (!id) return failure(400, "traceID: expected 32 hex digits");
    if (auto trace = store.trace(*id)) found.push_back(*std::move(trace));
  }
  if (ids.empty()) {
    SpanQuery wanted;
    wanted.service = query.value({"service"});
    if (!wanted.service) return failure(400, "parameter 'service' is required");
    const auto name = query.value({"operation"});
    if (name && *name != "all") wanted.name = name;
    if (const auto wrong = read_numbers(query, wanted)) return failure(400, *wrong);
    for (const std::string& pair : query.values("tag")) {
      const size_t colon = pair.find(':');
      if (colon == std::string::npos) return failure(400, "tag: expected key:value");
      wanted.attributes.emplace_back(pair.substr(0, colon), pair.substr(colon + 1));
    }
    if (const auto text = query.value({"tags"})) {
      const json object = json::parse(*text, nullptr, false);
      if (!object.is_object()) return failure(400, "tags: expected an object");
      for (const auto& [key, value] : object.items()) {
        wanted.attributes.emplace_back(key,
                                       value.is_string() ? value.get<std::string>() : value.dump());
      }
    }
    found = store.traces(wanted);
  }
  json data = json::array();
  for (const StoredTrace& trace : found) data.push_back(trace_json(trace));
  return envelope(std::move(data));
}

HttpResponse operations(const SpanStore& store, const std::string& service, bool names_alone) {
  json data = json::array();
  for (const auto& [name, kind] : store.operations(service)) {
    if (!names_alone) {
      data.push_back({{"name", name}, {"spanKind", to_lower(telemetry::to_string(kind))}});
    } else if (data.empty() || data.back() != name) {
      data.push_back(name);
    }
  }
  return envelope(std::move(data));
}

}  // namespace

std::optional<HttpResponse> answer_jaeger_legacy(const SpanStore& store, const std::string& path,
                                                 const http::Query& query) {
  constexpr std::string_view kTrace = "/api/traces/";
  constexpr std::string_view kService = "/api/services/";
  constexpr std::string_view kOperations = "/operations";
  if (path == "/api/traces") return find_traces(store, query);
  if (path == "/api/services") return envelope(store.services());
  if (path == "/api/operations") {
    const auto service = query.value({"service"});
    if (!service) return failure(400, "parameter 'service' is required");
    return operations(store, *service, false);
  }
  if (path.starts_with(kService) && path.ends_with(kOperations) &&
      path.size() > kService.size() + kOperations.size()) {
    const std::string_view rest = std::string_view(path).substr(kService.size());
    const auto service = rest.substr(0, rest.size() - kOperations.size());
    return operations(store, http::percent_decoded(service), true);
  }
  if (!path.starts_with(kTrace)) return std::nullopt;
  const auto id = TraceId::parse(std::string_view(path).substr(kTrace.size()));
  if (!id) return failure(400, "traceID: expected 32 hex digits");
  const auto trace = store.trace(*id);
  if (!trace) return failure(404, "trace not found");
  return envelope(json::array({trace_json(*trace)}));
}

}  // namespace touchstone::harness
