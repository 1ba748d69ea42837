#include <google/protobuf/arena.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <limits>

#include "telemetry/otlp/messages.h"
#include "telemetry/otlp/protobuf.h"

namespace touchstone::telemetry {
namespace {

namespace common = opentelemetry::proto::common::v1;
namespace trace = opentelemetry::proto::trace::v1;
using Request = opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;

/// Keeps the first problem; converting goes on with defaults.
class Decoder final {
 public:
  TraceBatch batch(const Request& request) {
    TraceBatch result;
    result.reserve(static_cast<size_t>(request.resource_spans_size()));
    for (const trace::ResourceSpans& from : request.resource_spans()) {
      ResourceSpans& group = result.emplace_back();
      group.resource = {attributes(from.resource().attributes()),
                        from.resource().dropped_attributes_count()};
      group.schema_url = from.schema_url();
      for (const trace::ScopeSpans& scope : from.scope_spans()) {
        group.scope_spans.push_back(scope_spans(scope));
      }
    }
    return result;
  }
  const std::optional<Error>& error() const { return error_; }

 private:
  template <typename Id>
  Id id(const std::string& bytes, const char* field) {
    Id result;
    if (bytes.size() == result.bytes.size()) {
      std::copy(bytes.begin(), bytes.end(), result.bytes.begin());
    } else if (!bytes.empty()) {
      fail(field, std::to_string(bytes.size()) + " bytes", std::to_string(result.bytes.size()));
    }
    return result;
  }

  int64_t time(uint64_t ns, const char* field) {
    if (ns > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      fail(field, std::to_string(ns), "nanoseconds below 2^63");
      return 0;
    }
    return static_cast<int64_t>(ns);
  }

  void fail(const char* field, const std::string& got, const std::string& expected) {
    if (!error_) error_ = malformed(std::string(field) + ": got " + got + ", expected " + expected);
  }

  Value value(const common::AnyValue& from) {
    switch (from.value_case()) {
      case common::AnyValue::kStringValue:
        return Value(from.string_value());
      case common::AnyValue::kBoolValue:
        return Value(from.bool_value());
      case common::AnyValue::kIntValue:
        return Value(static_cast<int64_t>(from.int_value()));
      case common::AnyValue::kDoubleValue:
        return Value(from.double_value());
      case common::AnyValue::kArrayValue: {
        Value::Array items;
        for (const common::AnyValue& item : from.array_value().values()) {
          items.push_back(value(item));
        }
        return Value(std::move(items));
      }
      case common::AnyValue::kKvlistValue: {
        Value result;
        result.data = attributes(from.kvlist_value().values());
        return result;
      }
      case common::AnyValue::kBytesValue: {
        Value result;
        result.data = Value::Bytes{from.bytes_value()};
        return result;
      }
      case common::AnyValue::VALUE_NOT_SET:
        break;
    }
    return {};
  }

  template <typename List>
  Attributes attributes(const List& list) {
    Attributes result;
    result.reserve(static_cast<size_t>(list.size()));
    for (const common::KeyValue& entry : list) {
      result.push_back({entry.key(), value(entry.value())});
    }
    return result;
  }

  ScopeSpans scope_spans(const trace::ScopeSpans& from) {
    ScopeSpans result;
    result.scope = {from.scope().name(), from.scope().version(),
                    attributes(from.scope().attributes()), from.scope().dropped_attributes_count()};
    result.schema_url = from.schema_url();
    result.spans.reserve(static_cast<size_t>(from.spans_size()));
    for (const trace::Span& each : from.spans()) result.spans.push_back(span(each));
    return result;
  }

  Span span(const trace::Span& from) {
    Span result;
    result.trace_id = id<TraceId>(from.trace_id(), "trace_id");
    result.span_id = id<SpanId>(from.span_id(), "span_id");
    result.parent_span_id = id<SpanId>(from.parent_span_id(), "parent_span_id");
    result.trace_state = from.trace_state();
    result.flags = from.flags();
    result.name = from.name();
    // A kind that OTLP does not define is as good as none; a profile that demands one will say so.
    if (trace::Span::SpanKind_IsValid(from.kind())) {
      result.kind = static_cast<SpanKind>(from.kind());
    }
    result.start_unix_ns = time(from.start_time_unix_nano(), "start_time_unix_nano");
    result.end_unix_ns = time(from.end_time_unix_nano(), "end_time_unix_nano");
    result.attributes = attributes(from.attributes());
    for (const trace::Span::Event& event : from.events()) {
      result.events.push_back({time(event.time_unix_nano(), "time_unix_nano"), event.name(),
                               attributes(event.attributes()), event.dropped_attributes_count()});
    }
    for (const trace::Span::Link& link : from.links()) {
      result.links.push_back({id<TraceId>(link.trace_id(), "links.trace_id"),
                              id<SpanId>(link.span_id(), "links.span_id"), link.trace_state(),
                              attributes(link.attributes()), link.dropped_attributes_count(),
                              link.flags()});
    }
    result.dropped_attributes_count = from.dropped_attributes_count();
    result.dropped_events_count = from.dropped_events_count();
    result.dropped_links_count = from.dropped_links_count();
    if (trace::Status::StatusCode_IsValid(from.status().code())) {
      result.status = static_cast<StatusCode>(from.status().code());
    }
    result.status_message = from.status().message();
    return result;
  }

  std::optional<Error> error_;
};

}  // namespace

Result<TraceBatch> to_trace_batch(const Request& request) {
  Decoder decoder;
  TraceBatch batch = decoder.batch(request);
  if (decoder.error()) return *decoder.error();
  return batch;
}

Result<TraceBatch> decode_otlp_protobuf(std::string_view bytes) {
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    return malformed("got " + std::to_string(bytes.size()) + " bytes, expected less than 2 GiB");
  }
  const google::protobuf::LogSilencer silencer;  // the caller gets the error
  google::protobuf::Arena arena;
  auto* request = google::protobuf::Arena::CreateMessage<Request>(&arena);
  if (!request->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return malformed("got bytes that are no OTLP ExportTraceServiceRequest");
  }
  return to_trace_batch(*request);
}

}  // namespace touchstone::telemetry
