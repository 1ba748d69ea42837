// The span model, as OTLP has it (opentelemetry-proto v1.11.0, trace.proto). Values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.h"

namespace touchstone::telemetry {

struct KeyValue;

/// OTLP AnyValue. monostate: a value with no field set.
struct Value {
  using Array = std::vector<Value>;
  using Map = std::vector<KeyValue>;
  struct Bytes {
    std::string data;
    bool operator==(const Bytes&) const = default;
  };
  std::variant<std::monostate, std::string, bool, int64_t, double, Array, Map, Bytes> data;

  Value() = default;
  Value(std::string text);  // NOLINT: implicit, and so are the others
  Value(const char* text);  // NOLINT
  Value(bool flag);         // NOLINT
  Value(int64_t number);    // NOLINT
  Value(int number);        // NOLINT
  Value(double number);     // NOLINT
  Value(Array items);       // NOLINT
  bool operator==(const Value&) const;

  const std::string* string() const { return std::get_if<std::string>(&data); }
  const int64_t* integer() const { return std::get_if<int64_t>(&data); }
  const double* number() const { return std::get_if<double>(&data); }
  /// "string", "bool", "int", "double", "array", "map", "bytes" or "empty".
  const char* type_name() const;
  /// For messages: strings bare, doubles shortest, arrays as JSON.
  std::string text() const;
};

struct KeyValue {
  std::string key;
  Value value;
  bool operator==(const KeyValue&) const = default;
};
using Attributes = std::vector<KeyValue>;  // in the order of the wire

// Here, where a KeyValue is complete: the variant holds them.
inline Value::Value(std::string text) : data(std::move(text)) {}
inline Value::Value(const char* text) : data(std::string(text)) {}
inline Value::Value(bool flag) : data(flag) {}
inline Value::Value(int64_t number) : data(number) {}
inline Value::Value(int number) : data(static_cast<int64_t>(number)) {}
inline Value::Value(double number) : data(number) {}
inline Value::Value(Array items) : data(std::move(items)) {}

/// The first value with this key, or null.
const Value* find(const Attributes& attributes, std::string_view key);

enum class SpanKind { kUnspecified, kInternal, kServer, kClient, kProducer, kConsumer };
const char* to_string(SpanKind kind);  // "SERVER", …
enum class StatusCode { kUnset, kOk, kError };

// Every dropped_*_count: how many the sender's limits threw away before it sent the rest.

struct Event {
  int64_t time_unix_ns = 0;
  std::string name;
  Attributes attributes;
  uint32_t dropped_attributes_count = 0;
  bool operator==(const Event&) const = default;
};

struct Link {
  TraceId trace_id;
  SpanId span_id;
  std::string trace_state;
  Attributes attributes;
  uint32_t dropped_attributes_count = 0;
  uint32_t flags = 0;  ///< as a span's
  bool operator==(const Link&) const = default;
};

inline constexpr uint32_t kFlagSampled = 0x01;
inline constexpr uint32_t kFlagHasIsRemote = 0x100;
inline constexpr uint32_t kFlagIsRemote = 0x200;

struct Span {
  TraceId trace_id;
  SpanId span_id;
  SpanId parent_span_id;  // invalid (zero): a root
  std::string trace_state;
  uint32_t flags = 0;
  std::string name;
  SpanKind kind = SpanKind::kUnspecified;
  int64_t start_unix_ns = 0;
  int64_t end_unix_ns = 0;
  Attributes attributes;
  std::vector<Event> events;
  std::vector<Link> links;
  uint32_t dropped_attributes_count = 0;
  uint32_t dropped_events_count = 0;
  uint32_t dropped_links_count = 0;
  StatusCode status = StatusCode::kUnset;
  std::string status_message;
  bool operator==(const Span&) const = default;
};

struct Resource {
  Attributes attributes;
  uint32_t dropped_attributes_count = 0;
  bool operator==(const Resource&) const = default;
};
struct Scope {
  std::string name;
  std::string version;
  Attributes attributes;
  uint32_t dropped_attributes_count = 0;
  bool operator==(const Scope&) const = default;
};
struct ScopeSpans {
  Scope scope;
  std::string schema_url;
  std::vector<Span> spans;
  bool operator==(const ScopeSpans&) const = default;
};
struct ResourceSpans {
  Resource resource;
  std::string schema_url;
  std::vector<ScopeSpans> scope_spans;
  bool operator==(const ResourceSpans&) const = default;
};
/// One ExportTraceServiceRequest, or one line of the Collector's file exporter.
using TraceBatch = std::vector<ResourceSpans>;
int64_t span_count(const TraceBatch& batch);

}  // namespace touchstone::telemetry
