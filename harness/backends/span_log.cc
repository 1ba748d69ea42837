// Files with one JSON object a span, as `serve --span-log` and self-written servers leave them:
// trace_id, span_id, parent_span_id, name, start_time_ns, end_time_ns, attributes, status, service.
// See telemetry/export/span_log.h.
#include <nlohmann/json.hpp>
#include <utility>

#include "base/files.h"
#include "base/text.h"
#include "harness/backends/backend.h"

namespace touchstone::harness {
namespace {

using nlohmann::json;
using telemetry::Value;
using Visit = std::function<Status(const telemetry::TraceBatch&)>;

constexpr size_t kProblemsMax = 1000;

Value value_of(const json& item) {
  if (item.is_boolean()) return Value(item.get<bool>());
  if (item.is_number_integer()) return Value(item.get<int64_t>());
  if (item.is_number()) return Value(item.get<double>());
  if (item.is_string()) return Value(item.get<std::string>());
  if (!item.is_array()) return item.is_null() ? Value() : Value(item.dump());
  Value::Array list;
  for (const json& one : item) list.push_back(value_of(one));
  return Value(std::move(list));
}

telemetry::StatusCode status_of(const std::string& word) {
  if (word == "OK") return telemetry::StatusCode::kOk;
  return word == "ERROR" ? telemetry::StatusCode::kError : telemetry::StatusCode::kUnset;
}

template <typename Id>
std::optional<Id> id_of(const json& line, const char* key) {
  const json text = line.value(key, json());
  return text.is_string() ? Id::parse(text.get<std::string>()) : std::nullopt;
}

/// What is wrong with the line goes to `problem`.
std::optional<telemetry::ResourceSpans> span_of(const json& line, std::string& problem) {
  if (!line.is_object()) {
    problem = "got no JSON object, expected a span";
    return std::nullopt;
  }
  const auto trace = id_of<TraceId>(line, "trace_id");
  const auto id = id_of<SpanId>(line, "span_id");
  const json name = line.value("name", json());
  const json start = line.value("start_time_ns", json());
  const json end = line.value("end_time_ns", json());
  if (!trace || !id || !name.is_string() || !start.is_number_integer() ||
      !end.is_number_integer()) {
    problem = "expected trace_id, span_id (hex), name, start_time_ns and end_time_ns (integers)";
    return std::nullopt;
  }
  telemetry::Span span;
  span.trace_id = *trace;
  span.span_id = *id;
  span.parent_span_id = id_of<SpanId>(line, "parent_span_id").value_or(SpanId());
  span.name = name.get<std::string>();
  span.start_unix_ns = start.get<int64_t>();
  span.end_unix_ns = end.get<int64_t>();
  const json status = line.value("status", json());
  if (status.is_string()) span.status = status_of(status.get<std::string>());
  const json attributes = line.value("attributes", json::object());
  if (attributes.is_object()) {
    for (const auto& [key, item] : attributes.items()) {
      span.attributes.push_back({key, value_of(item)});
    }
  }
  telemetry::ResourceSpans group;
  const json service = line.value("service", json());
  if (service.is_string()) {
    group.resource.attributes.push_back({"service.name", service.get<std::string>()});
  }
  group.scope_spans.push_back({{}, {}, {std::move(span)}});
  return group;
}

/// Of a trace that the window cuts it gives the spans in the window alone.
class SpanLogBackend final : public SpanBackend {
 public:
  explicit SpanLogBackend(std::string path) : path_(std::move(path)) {}

  Result<BackendRead> read(const TimeWindow& window, const Visit& visit) override {
    BackendRead read;
    RETURN_IF_ERROR(for_each_line(path_, [&](int64_t number, std::string_view text) -> Status {
      if (trim(text).empty()) return {};
      std::string problem;
      auto group = span_of(json::parse(text, nullptr, false), problem);
      if (!group) {
        if (read.problems.size() < kProblemsMax) {
          read.problems.push_back(path_ + ":" + std::to_string(number) + ": " + problem);
        }
        return {};
      }
      if (!window.contains(group->scope_spans[0].spans[0].start_unix_ns)) return {};
      ++read.spans;
      return visit({*std::move(group)});
    }));
    return read;
  }

 private:
  const std::string path_;
};

}  // namespace

std::unique_ptr<SpanBackend> make_span_log_backend(const BackendAddress& address) {
  return std::make_unique<SpanLogBackend>(address.url);
}

}  // namespace touchstone::harness
