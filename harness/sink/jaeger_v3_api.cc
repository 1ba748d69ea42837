#include "base/text.h"
#include "base/timestamp.h"
#include "harness/sink/json_values.h"
#include "harness/sink/query_api.h"
#include "telemetry/otlp/json.h"

namespace touchstone::harness {
namespace {

using http::HttpResponse;
using nlohmann::json;

HttpResponse failure(int status, const std::string& message) {
  return json_response(status, {{"error", {{"httpCode", status}, {"message", message}}}});
}

HttpResponse result_of(const std::vector<StoredTrace>& traces) {
  if (traces.empty()) return failure(404, "No traces found");
  return {200,
          "application/json",
          {},
          "{\"result\":" + telemetry::encode_otlp_json(to_batch(traces)) + "}\n"};
}

const char* kind_word(telemetry::SpanKind kind) {
  static constexpr const char* kWords[] = {"unspecified", "internal", "server",
                                           "client",      "producer", "consumer"};
  return kWords[static_cast<int>(kind)];
}

HttpResponse services(const SpanStore& store) {
  return json_response(200, {{"services", store.services()}});
}

HttpResponse operations(const SpanStore& store, const http::Query& query) {
  const auto service = query.value({"service"});
  if (!service) return failure(400, "malformed parameter service: it is required");
  const auto kind = query.value({"span_kind", "spanKind"});
  json list = json::array();
  for (const auto& [name, of_kind] : store.operations(service)) {
    if (kind && *kind != kind_word(of_kind)) continue;
    list.push_back({{"name", name}, {"spanKind", kind_word(of_kind)}});
  }
  return json_response(200, {{"operations", std::move(list)}});
}

/// What is wrong with the query, or nothing.
std::optional<std::string> read_times(const http::Query& query, SpanQuery& wanted) {
  const auto time = [&](std::initializer_list<std::string_view> names,
                        std::optional<int64_t>& into) -> std::optional<std::string> {
    const std::string name(*names.begin());
    const auto text = query.value(names);
    if (!text) return name + " is required";
    into = parse_utc(*text);
    if (!into) return "malformed parameter " + name + ": got " + quote(*text);
    return std::nullopt;
  };
  const auto duration = [&](std::initializer_list<std::string_view> names,
                            std::optional<int64_t>& into) -> std::optional<std::string> {
    const auto text = query.value(names);
    if (!text) return std::nullopt;
    const auto parsed = parse_duration_ns(*text);
    if (!parsed) return "malformed parameter " + std::string(*names.begin());
    into = *parsed;
    return std::nullopt;
  };
  auto wrong = time({"query.startTimeMin", "query.start_time_min"}, wanted.start_unix_ns);
  if (!wrong) wrong = time({"query.startTimeMax", "query.start_time_max"}, wanted.end_unix_ns);
  if (!wrong) wrong = duration({"query.durationMin", "query.duration_min"}, wanted.duration_min_ns);
  if (!wrong) wrong = duration({"query.durationMax", "query.duration_max"}, wanted.duration_max_ns);
  return wrong;
}

HttpResponse find_traces(const SpanStore& store, const http::Query& query) {
  SpanQuery wanted;
  if (const auto wrong = read_times(query, wanted)) return failure(400, *wrong);
  wanted.service = query.value({"query.serviceName", "query.service_name"});
  wanted.name = query.value({"query.operationName", "query.operation_name"});
  const auto depth = query.value(
      {"query.searchDepth", "query.search_depth", "query.numTraces", "query.num_traces"});
  if (depth) {
    const auto number = parse_int(*depth);
    if (!number || *number < 1) {
      return failure(400, "malformed parameter query.searchDepth: got " + quote(*depth));
    }
    wanted.limit = static_cast<size_t>(*number);
  }
  if (const auto text = query.value({"query.attributes"})) {
    const json attributes = json::parse(*text, nullptr, false);
    if (!attributes.is_object()) {
      return failure(400, "malformed parameter query.attributes: got " + quote(*text));
    }
    for (const auto& [key, value] : attributes.items()) {
      wanted.attributes.emplace_back(key,
                                     value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  return result_of(store.traces(wanted));
}

}  // namespace

std::optional<HttpResponse> answer_jaeger_v3(const SpanStore& store, const std::string& path,
                                             const http::Query& query) {
  constexpr std::string_view kTrace = "/api/v3/traces/";
  if (path == "/api/v3/services") return services(store);
  if (path == "/api/v3/operations") return operations(store, query);
  if (path == "/api/v3/traces") return find_traces(store, query);
  if (!path.starts_with(kTrace)) return std::nullopt;
  const auto id = TraceId::parse(std::string_view(path).substr(kTrace.size()));
  if (!id) return failure(400, "malformed parameter trace_id");
  std::vector<StoredTrace> found;
  if (auto trace = store.trace(*id)) found.push_back(*std::move(trace));
  return result_of(found);
}

}  // namespace touchstone::harness
