#include "telemetry/span.h"

#include <algorithm>

#include "base/check.h"
#include "base/json_text.h"
#include "base/text.h"

namespace touchstone::telemetry {
namespace {

void append_value(JsonText& json, const Value& value) {
  if (const auto* text = value.string()) {
    json.string(*text);
  } else if (const auto* flag = std::get_if<bool>(&value.data)) {
    json.boolean(*flag);
  } else if (const auto* integer = value.integer()) {
    json.integer(*integer);
  } else if (const auto* number = value.number()) {
    json.number(*number);
  } else if (const auto* items = std::get_if<Value::Array>(&value.data)) {
    json.begin_array();
    for (const Value& item : *items) append_value(json, item);
    json.end_array();
  } else if (const auto* map = std::get_if<Value::Map>(&value.data)) {
    json.begin_object();
    for (const KeyValue& entry : *map) append_value(json.escaped_key(entry.key), entry.value);
    json.end_object();
  } else if (const auto* bytes = std::get_if<Value::Bytes>(&value.data)) {
    json.string(to_hex(reinterpret_cast<const uint8_t*>(bytes->data.data()), bytes->data.size()));
  } else {
    json.raw("null");
  }
}

}  // namespace

bool Value::operator==(const Value&) const = default;

const char* Value::type_name() const {
  static constexpr const char* kNames[] = {"empty",  "string", "bool", "int",
                                           "double", "array",  "map",  "bytes"};
  return kNames[data.index()];
}

std::string Value::text() const {
  if (const auto* text = string()) return *text;
  if (const auto* value = number()) return format_double(*value);
  std::string text;
  JsonText json(text);
  append_value(json, *this);
  return text;
}

const Value* find(const Attributes& attributes, std::string_view key) {
  const auto found = std::find_if(attributes.begin(), attributes.end(),
                                  [&](const KeyValue& entry) { return entry.key == key; });
  return found == attributes.end() ? nullptr : &found->value;
}

int64_t span_count(const TraceBatch& batch) {
  size_t count = 0;
  for (const ResourceSpans& group : batch) {
    for (const ScopeSpans& scope : group.scope_spans) count += scope.spans.size();
  }
  return static_cast<int64_t>(count);
}

const char* to_string(SpanKind kind) {
  switch (kind) {
    case SpanKind::kUnspecified:
      return "UNSPECIFIED";
    case SpanKind::kInternal:
      return "INTERNAL";
    case SpanKind::kServer:
      return "SERVER";
    case SpanKind::kClient:
      return "CLIENT";
    case SpanKind::kProducer:
      return "PRODUCER";
    case SpanKind::kConsumer:
      return "CONSUMER";
  }
  BASE_CHECK(false, static_cast<int>(kind));
}

}  // namespace touchstone::telemetry
