// simdjson's DOM parser, not its on-demand one: it checks the whole text (a field that nobody reads
// can be broken too) and is faster here (bench/telemetry_bench.cc).
#include <openssl/evp.h>
#include <simdjson.h>

#include <array>
#include <limits>
#include <optional>
#include <utility>

#include "base/text.h"
#include "telemetry/otlp/json.h"
#include "telemetry/otlp/json_fields.h"

namespace touchstone::telemetry {
namespace {

using simdjson::dom::element;

constexpr size_t kDepthMax = 256;  // OTLP itself needs 10; the rest is nested attribute values

/// The value's content as a T, the one it has if it has one.
template <typename T>
T& hold(Value& value) {
  T* held = std::get_if<T>(&value.data);
  return held != nullptr ? *held : value.data.emplace<T>();
}

/// Each reader overwrites all of its target, which still holds what was read into it before.
class Reader final : private JsonFields {
 public:
  using JsonFields::JsonFields;

 private:
  /// A member as a callable, known when it is compiled, so that it can be inlined.
  template <auto kRead>
  auto reads() {
    return [this](const element& item, auto& out) { return (this->*kRead)(item, out); };
  }

 public:
  Result<OtlpSignal> request(const element& root, TraceBatch& batch) {
    simdjson::dom::object object;
    if (root.get(object) != simdjson::SUCCESS) {
      return Error{ErrorCode::kUnsupported, "got " + shown(root) + ", expected an object", {}};
    }
    std::optional<OtlpSignal> signal;
    std::vector<std::string> others;
    Refill<ResourceSpans> groups(batch, spares_);
    for (const auto& [key, value] : object) {
      if (is(key, "resourceSpans", "resource_spans")) {
        signal = OtlpSignal::kTraces;
        if (!value.is_null() && !each(key, value, groups, reads<&Reader::resource_spans>()))
          report();
      } else if (const auto other = other_signal(key)) {
        signal = signal.value_or(*other);
      } else {
        others.emplace_back(key);
      }
    }
    if (!signal) return no_signal(others);
    return *signal;
  }

 private:
  static std::optional<OtlpSignal> other_signal(std::string_view key) {
    if (is(key, "resourceMetrics", "resource_metrics")) return OtlpSignal::kMetrics;
    if (is(key, "resourceLogs", "resource_logs")) return OtlpSignal::kLogs;
    if (is(key, "resourceProfiles", "resource_profiles")) return OtlpSignal::kProfiles;
    return std::nullopt;
  }
  static bool is_dropped_attributes(std::string_view key) {
    return is(key, "droppedAttributesCount", "dropped_attributes_count");
  }
  static Error no_signal(const std::vector<std::string>& keys) {
    return {ErrorCode::kUnsupported,
            "got " +
                (keys.empty() ? "an object without a key" : "an object with " + quote(keys[0])) +
                ", expected one with resourceSpans, resourceMetrics, resourceLogs or "
                "resourceProfiles",
            {}};
  }

  bool double_value(const element& value, Value& out) {
    double number = 0;
    std::string_view view;
    if (value.get(number) == simdjson::SUCCESS) {
      out.data = number;
      return true;
    }
    if (value.get(view) != simdjson::SUCCESS) return fail(value, "a number");
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    if (view == "NaN") {
      out.data = std::numeric_limits<double>::quiet_NaN();
    } else if (view == "Infinity") {
      out.data = kInfinity;
    } else if (view == "-Infinity") {
      out.data = -kInfinity;
    } else if (const auto parsed = parse_double(view)) {
      out.data = *parsed;
    } else {
      return fail(value, "a number");
    }
    return true;
  }

  bool bytes_value(const element& value, Value& out) {
    std::string_view view;
    const bool good = value.get(view) == simdjson::SUCCESS && view.size() % 4 == 0;
    std::string bytes(view.size() / 4 * 3, '\0');
    if (!good ||
        (!view.empty() && EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                          reinterpret_cast<const unsigned char*>(view.data()),
                                          static_cast<int>(view.size())) < 0)) {
      return fail(value, "base64");
    }
    // OpenSSL counts the padding as zero bytes.
    while (!view.empty() && view.back() == '=' && !bytes.empty()) {
      view.remove_suffix(1);
      bytes.pop_back();
    }
    out.data = Value::Bytes{std::move(bytes)};
    return true;
  }

  bool any_value(const element& from, Value& out) {
    bool set = false;
    const bool good = fields(from, [&](std::string_view key, const element& value) {
      const bool was_set = std::exchange(set, true);
      if (is(key, "stringValue", "string_value")) return text(key, value, hold<std::string>(out));
      if (is(key, "doubleValue", "double_value")) return in_field(key, double_value(value, out));
      if (is(key, "intValue", "int_value")) {
        return integer(key, value, hold<int64_t>(out), std::numeric_limits<int64_t>::min(),
                       std::numeric_limits<int64_t>::max(), "a 64-bit integer");
      }
      if (is(key, "boolValue", "bool_value")) {
        if (value.get(hold<bool>(out)) == simdjson::SUCCESS) return true;
        return in_field(key, fail(value, "true or false"));
      }
      if (is(key, "arrayValue", "array_value")) {
        return in_field(key, values(value, hold<Value::Array>(out), reads<&Reader::any_value>()));
      }
      if (is(key, "kvlistValue", "kvlist_value")) {
        return in_field(key, values(value, hold<Value::Map>(out), reads<&Reader::key_value>()));
      }
      if (is(key, "bytesValue", "bytes_value")) return in_field(key, bytes_value(value, out));
      set = was_set;
      return true;
    });
    if (!set) out.data = std::monostate();
    return good;
  }

  /// ArrayValue and KeyValueList: an object with `values`.
  template <typename T, typename Read>
  bool values(const element& from, std::vector<T>& out, const Read& read) {
    Refill<T> items(out, spares_);
    return fields(from, [&](std::string_view key, const element& value) {
      return !is(key, "values") || list(key, value, items, read);
    });
  }

  bool key_value(const element& from, KeyValue& out) {
    bool has_value = false;
    out.key.clear();
    const bool good = fields(from, [&](std::string_view key, const element& value) {
      if (is(key, "key")) return text(key, value, out.key);
      if (is(key, "value")) {
        has_value = true;
        return in_field(key, any_value(value, out.value));
      }
      return true;
    });
    if (!has_value) out.value.data = std::monostate();
    return good;
  }
  bool attributes(const element& value, Refill<KeyValue>& out) {
    return list("attributes", value, out, reads<&Reader::key_value>());
  }

  bool event(const element& from, Event& out) {
    Refill<KeyValue> list_of_attributes(out.attributes, spares_);
    out.time_unix_ns = 0;
    out.name.clear();
    out.dropped_attributes_count = 0;
    return fields(from, [&](std::string_view key, const element& value) {
      if (is(key, "timeUnixNano", "time_unix_nano")) return time(key, value, out.time_unix_ns);
      if (is(key, "name")) return text(key, value, out.name);
      if (is(key, "attributes")) return attributes(value, list_of_attributes);
      if (is_dropped_attributes(key)) return unsigned32(key, value, out.dropped_attributes_count);
      return true;
    });
  }

  bool link(const element& from, Link& out) {
    Refill<KeyValue> list_of_attributes(out.attributes, spares_);
    out.trace_id = {};
    out.span_id = {};
    out.trace_state.clear();
    out.dropped_attributes_count = 0;
    out.flags = 0;
    return fields(from, [&](std::string_view key, const element& value) {
      if (is(key, "traceId", "trace_id")) return id(key, value, out.trace_id);
      if (is(key, "spanId", "span_id")) return id(key, value, out.span_id);
      if (is(key, "traceState", "trace_state")) return text(key, value, out.trace_state);
      if (is(key, "attributes")) return attributes(value, list_of_attributes);
      if (is_dropped_attributes(key)) return unsigned32(key, value, out.dropped_attributes_count);
      if (is(key, "flags")) return flags(key, value, out.flags);
      return true;
    });
  }

  bool status(const element& from, Span& out) {
    static constexpr std::array<std::string_view, 3> kCodes = {"UNSET", "OK", "ERROR"};
    return fields(from, [&](std::string_view key, const element& value) {
      if (is(key, "message")) return text(key, value, out.status_message);
      if (is(key, "code")) return enumeration(key, value, out.status, "STATUS_CODE_", kCodes);
      return true;
    });
  }

  struct SpanLists {
    Refill<KeyValue> attributes;
    Refill<Event> events;
    Refill<Link> links;
  };
  bool span_field(std::string_view key, const element& value, Span& out, SpanLists& lists) {
    static constexpr std::array<std::string_view, 6> kKinds = {
        "UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"};
    if (is(key, "traceId", "trace_id")) return id(key, value, out.trace_id);
    if (is(key, "spanId", "span_id")) return id(key, value, out.span_id);
    if (is(key, "parentSpanId", "parent_span_id")) return id(key, value, out.parent_span_id);
    if (is(key, "traceState", "trace_state")) return text(key, value, out.trace_state);
    if (is(key, "name")) return text(key, value, out.name);
    if (is(key, "kind")) return enumeration(key, value, out.kind, "SPAN_KIND_", kKinds);
    if (is(key, "startTimeUnixNano", "start_time_unix_nano")) {
      return time(key, value, out.start_unix_ns);
    }
    if (is(key, "endTimeUnixNano", "end_time_unix_nano")) return time(key, value, out.end_unix_ns);
    if (is(key, "attributes")) return attributes(value, lists.attributes);
    if (is(key, "events")) return list(key, value, lists.events, reads<&Reader::event>());
    if (is(key, "links")) return list(key, value, lists.links, reads<&Reader::link>());
    if (is(key, "status")) return in_field(key, status(value, out));
    if (is(key, "flags")) return flags(key, value, out.flags);
    if (is_dropped_attributes(key)) return unsigned32(key, value, out.dropped_attributes_count);
    if (is(key, "droppedEventsCount", "dropped_events_count")) {
      return unsigned32(key, value, out.dropped_events_count);
    }
    if (is(key, "droppedLinksCount", "dropped_links_count")) {
      return unsigned32(key, value, out.dropped_links_count);
    }
    return true;
  }

  static void clear_scalars(Span& span) {
    span.trace_id = {};
    span.span_id = {};
    span.parent_span_id = {};
    span.trace_state.clear();
    span.flags = 0;
    span.name.clear();
    span.kind = SpanKind::kUnspecified;
    span.start_unix_ns = 0;
    span.end_unix_ns = 0;
    span.dropped_attributes_count = 0;
    span.dropped_events_count = 0;
    span.dropped_links_count = 0;
    span.status = StatusCode::kUnset;
    span.status_message.clear();
  }
  bool span(const element& from, Span& out) {
    clear_scalars(out);
    SpanLists lists{Refill(out.attributes, spares_), Refill(out.events, spares_),
                    Refill(out.links, spares_)};
    return fields(from, [&](std::string_view key, const element& value) {
      return span_field(key, value, out, lists);
    });
  }

  bool scope(const element& from, Scope& out) {
    Refill<KeyValue> list_of_attributes(out.attributes, spares_);
    out.name.clear();
    out.version.clear();
    out.dropped_attributes_count = 0;
    return fields(from, [&](std::string_view key, const element& value) {
      if (is(key, "name")) return text(key, value, out.name);
      if (is(key, "version")) return text(key, value, out.version);
      if (is(key, "attributes")) return attributes(value, list_of_attributes);
      if (is_dropped_attributes(key)) return unsigned32(key, value, out.dropped_attributes_count);
      return true;
    });
  }

  bool resource(const element& from, Resource& out) {
    Refill<KeyValue> list_of_attributes(out.attributes, spares_);
    out.dropped_attributes_count = 0;
    return fields(from, [&](std::string_view key, const element& value) {
      if (is(key, "attributes")) return attributes(value, list_of_attributes);
      if (is_dropped_attributes(key)) return unsigned32(key, value, out.dropped_attributes_count);
      return true;
    });
  }

  /// What belongs to many spans costs none of them: it is reported and kept as far as it was read.
  bool report_unless(bool good) {
    if (!good) report();
    return true;
  }

  bool scope_spans(const element& from, ScopeSpans& out) {
    bool has_scope = false;
    out.schema_url.clear();
    Refill<Span> spans(out.spans, spares_);
    const bool good = fields(from, [&](std::string_view key, const element& value) {
      if (is(key, "scope")) {
        has_scope = true;
        return report_unless(in_field(key, scope(value, out.scope)));
      }
      if (is(key, "spans")) return report_unless(each(key, value, spans, reads<&Reader::span>()));
      if (is(key, "schemaUrl", "schema_url")) {
        return report_unless(text(key, value, out.schema_url));
      }
      return true;
    });
    if (!has_scope) out.scope = {};
    return good;
  }

  bool resource_spans(const element& from, ResourceSpans& out) {
    bool has_resource = false;
    out.schema_url.clear();
    Refill<ScopeSpans> scopes(out.scope_spans, spares_);
    const bool good = fields(from, [&](std::string_view key, const element& value) {
      if (is(key, "resource")) {
        has_resource = true;
        return report_unless(in_field(key, resource(value, out.resource)));
      }
      if (is(key, "scopeSpans", "scope_spans")) {
        return report_unless(each(key, value, scopes, reads<&Reader::scope_spans>()));
      }
      if (is(key, "schemaUrl", "schema_url")) {
        return report_unless(text(key, value, out.schema_url));
      }
      // OTLP before 0.15; its spans would be lost in silence.
      if (is(key, "instrumentationLibrarySpans", "instrumentation_library_spans")) {
        return report_unless(in_field(key, fail(value, "scopeSpans, its name since OTLP 0.15")));
      }
      return true;
    });
    if (!has_resource) out.resource = {};
    return good;
  }
};

}  // namespace

struct OtlpJsonDecoder::Parser {
  simdjson::dom::parser parser;
  Spares spares;
};

OtlpJsonDecoder::OtlpJsonDecoder() : parser_(std::make_unique<Parser>()) {}
OtlpJsonDecoder::~OtlpJsonDecoder() = default;

Result<OtlpSignal> OtlpJsonDecoder::decode(std::string_view text, TraceBatch& batch,
                                           const OnProblem& on_problem) {
  return decode(text, /*is_padded=*/false, batch, on_problem);
}

Result<OtlpSignal> OtlpJsonDecoder::decode_padded(std::string_view text, TraceBatch& batch,
                                                  const OnProblem& on_problem) {
  return decode(text, /*is_padded=*/true, batch, on_problem);
}

Result<OtlpSignal> OtlpJsonDecoder::decode(std::string_view text, bool is_padded, TraceBatch& batch,
                                           const OnProblem& on_problem) {
  static_assert(kPaddingBytes >= simdjson::SIMDJSON_PADDING);
  // simdjson may hand a null pointer to memcpy for an empty text.
  if (text.empty()) return malformed("not valid JSON: got nothing, expected an object");
  simdjson::dom::parser& parser = parser_->parser;
  element root;
  auto error = simdjson::SUCCESS;
  if (parser.capacity() < text.size() || parser.max_depth() != kDepthMax) {
    error = parser.allocate(std::max<size_t>(text.size() + text.size() / 2, 4096), kDepthMax);
  }
  if (error == simdjson::SUCCESS) {
    error = parser.parse(text.data(), text.size(), /*realloc_if_needed=*/!is_padded).get(root);
  }
  if (error != simdjson::SUCCESS) {
    return malformed(std::string("not valid JSON: ") + simdjson::error_message(error));
  }
  return Reader(on_problem, parser_->spares).request(root, batch);
}

Result<TraceBatch> decode_otlp_json(std::string_view text) {
  OtlpJsonDecoder decoder;
  TraceBatch batch;
  std::optional<Error> first;
  const Result<OtlpSignal> signal = decoder.decode(text, batch, [&](std::string problem) {
    if (!first) first = malformed(std::move(problem));
  });
  if (!signal) return signal.error();
  if (first) return *std::move(first);
  return batch;
}

}  // namespace touchstone::telemetry
