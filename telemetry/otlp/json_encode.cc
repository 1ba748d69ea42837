#include <openssl/evp.h>

#include <cmath>

#include "base/json_text.h"
#include "telemetry/otlp/json.h"

namespace touchstone::telemetry {
namespace {

std::string base64(const std::string& bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

/// Proto3 JSON: what JSON has no number for is a string.
void write_double(JsonText& json, double value) {
  if (std::isfinite(value)) {
    json.number(value);
  } else {
    json.string(std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
  }
}

void write_attributes(JsonText& json, const Attributes& attributes);

void write_value(JsonText& json, const Value& value) {
  json.begin_object();
  if (const auto* text = value.string()) {
    json.key("stringValue").string(*text);
  } else if (const auto* flag = std::get_if<bool>(&value.data)) {
    json.key("boolValue").boolean(*flag);
  } else if (const auto* integer = value.integer()) {
    json.key("intValue").string(std::to_string(*integer));
  } else if (const auto* number = value.number()) {
    write_double(json.key("doubleValue"), *number);
  } else if (const auto* items = std::get_if<Value::Array>(&value.data)) {
    json.key("arrayValue").begin_object().key("values").begin_array();
    for (const Value& item : *items) write_value(json, item);
    json.end_array().end_object();
  } else if (const auto* map = std::get_if<Value::Map>(&value.data)) {
    json.key("kvlistValue").begin_object().key("values");
    write_attributes(json, *map);
    json.end_object();
  } else if (const auto* bytes = std::get_if<Value::Bytes>(&value.data)) {
    json.key("bytesValue").string(base64(bytes->data));
  }
  json.end_object();
}

void write_attributes(JsonText& json, const Attributes& attributes) {
  json.begin_array();
  for (const KeyValue& entry : attributes) {
    json.begin_object().key("key").string(entry.key).key("value");
    write_value(json, entry.value);
    json.end_object();
  }
  json.end_array();
}

void write_text(JsonText& json, const char* key, const std::string& value) {
  if (!value.empty()) json.key(key).string(value);
}

void write_count(JsonText& json, const char* key, uint32_t count) {
  if (count != 0) json.key(key).unsigned_integer(count);
}

void write_named_attributes(JsonText& json, const Attributes& attributes, uint32_t dropped) {
  if (!attributes.empty()) {
    json.key("attributes");
    write_attributes(json, attributes);
  }
  write_count(json, "droppedAttributesCount", dropped);
}

void write_events_and_links(JsonText& json, const Span& span) {
  if (!span.events.empty()) {
    json.key("events").begin_array();
    for (const Event& event : span.events) {
      json.begin_object().key("timeUnixNano").string(std::to_string(event.time_unix_ns));
      write_text(json, "name", event.name);
      write_named_attributes(json, event.attributes, event.dropped_attributes_count);
      json.end_object();
    }
    json.end_array();
  }
  write_count(json, "droppedEventsCount", span.dropped_events_count);
  if (!span.links.empty()) {
    json.key("links").begin_array();
    for (const Link& link : span.links) {
      json.begin_object().key("traceId").string(link.trace_id.hex());
      json.key("spanId").string(link.span_id.hex());
      write_text(json, "traceState", link.trace_state);
      write_named_attributes(json, link.attributes, link.dropped_attributes_count);
      write_count(json, "flags", link.flags);
      json.end_object();
    }
    json.end_array();
  }
  write_count(json, "droppedLinksCount", span.dropped_links_count);
}

void write_span(JsonText& json, const Span& span) {
  json.begin_object().key("traceId").string(span.trace_id.hex());
  json.key("spanId").string(span.span_id.hex());
  write_text(json, "traceState", span.trace_state);
  if (span.parent_span_id.is_valid()) json.key("parentSpanId").string(span.parent_span_id.hex());
  write_text(json, "name", span.name);
  json.key("kind").integer(static_cast<int64_t>(span.kind));
  json.key("startTimeUnixNano").string(std::to_string(span.start_unix_ns));
  json.key("endTimeUnixNano").string(std::to_string(span.end_unix_ns));
  write_named_attributes(json, span.attributes, span.dropped_attributes_count);
  write_events_and_links(json, span);
  json.key("status").begin_object();
  write_text(json, "message", span.status_message);
  if (span.status != StatusCode::kUnset) json.key("code").integer(static_cast<int>(span.status));
  json.end_object();
  write_count(json, "flags", span.flags);
  json.end_object();
}

void write_scope_spans(JsonText& json, const ScopeSpans& group) {
  json.begin_object().key("scope").begin_object();
  write_text(json, "name", group.scope.name);
  write_text(json, "version", group.scope.version);
  write_named_attributes(json, group.scope.attributes, group.scope.dropped_attributes_count);
  json.end_object().key("spans").begin_array();
  for (const Span& span : group.spans) write_span(json, span);
  json.end_array();
  write_text(json, "schemaUrl", group.schema_url);
  json.end_object();
}

}  // namespace

std::string encode_otlp_json(const TraceBatch& batch) {
  std::string line;
  JsonText json(line);
  json.begin_object().key("resourceSpans").begin_array();
  for (const ResourceSpans& group : batch) {
    json.begin_object().key("resource").begin_object();
    write_named_attributes(json, group.resource.attributes,
                           group.resource.dropped_attributes_count);
    json.end_object().key("scopeSpans").begin_array();
    for (const ScopeSpans& scope : group.scope_spans) write_scope_spans(json, scope);
    json.end_array();
    write_text(json, "schemaUrl", group.schema_url);
    json.end_object();
  }
  json.end_array().end_object();
  return line;
}

}  // namespace touchstone::telemetry
