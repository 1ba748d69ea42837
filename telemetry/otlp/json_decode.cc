#include <openssl/evp.h>
#include <simdjson.h>

#include <cmath>
#include <limits>
#include <optional>

#include "base/text.h"
#include "telemetry/otlp/json.h"

namespace touchstone::telemetry {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

constexpr size_t kDepthMax = 256;  // OTLP itself needs 10; the rest is nested attribute values

std::string shown(const element& value) {
  if (value.is_string()) return quote(std::string_view(value));
  std::string text = simdjson::minify(value);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

/// What is wrong and where. The path grows from the inside out as the calls return.
struct Problem {
  std::string path;
  std::string text;
};

class JsonDecoder final {
 public:
  /// False: see problem().
  bool request(const element& root, OtlpJsonLine& out) {
    return fields(root, [&](std::string_view key, const element& value) {
      if (is(key, "resourceSpans", "resource_spans")) {
        return list(key, value, out.batch, &JsonDecoder::resource_spans);
      }
      if (is(key, "resourceMetrics", "resource_metrics")) out.signal = OtlpSignal::kMetrics;
      if (is(key, "resourceLogs", "resource_logs")) out.signal = OtlpSignal::kLogs;
      return true;
    });
  }
  std::string problem() const {
    return problem_.path + (problem_.path.empty() ? "" : ": ") + problem_.text;
  }

 private:
  static bool is(std::string_view key, std::string_view camel, std::string_view snake) {
    return key == camel || key == snake;
  }

  bool fail(const element& got, const std::string& expected) {
    problem_.text = "got " + shown(got) + ", expected " + expected;
    return false;
  }
  bool in_field(std::string_view key, bool good) {
    if (!good) {
      const bool nested = !problem_.path.empty() && problem_.path[0] != '[';
      problem_.path = std::string(key) + (nested ? "." : "") + problem_.path;
    }
    return good;
  }

  /// Calls `visit(key, value)` for each member that is not null; null is as absent in proto3 JSON.
  template <typename Visit>
  bool fields(const element& value, const Visit& visit) {
    simdjson::dom::object object;
    if (value.get(object) != simdjson::SUCCESS) return fail(value, "an object");
    for (const auto& [key, member] : object) {
      if (member.is_null()) continue;
      if (!visit(key, member)) return false;
    }
    return true;
  }

  template <typename T>
  bool list(std::string_view key, const element& value, std::vector<T>& out,
            bool (JsonDecoder::*read)(const element&, T&)) {
    simdjson::dom::array items;
    if (value.get(items) != simdjson::SUCCESS) return in_field(key, fail(value, "a list"));
    out.reserve(out.size() + items.size());
    size_t index = 0;
    for (const element item : items) {
      if (!(this->*read)(item, out.emplace_back())) {
        in_field("[" + std::to_string(index) + "]", false);
        return in_field(key, false);
      }
      ++index;
    }
    return true;
  }

  bool text(std::string_view key, const element& value, std::string& out) {
    std::string_view view;
    if (value.get(view) != simdjson::SUCCESS) return in_field(key, fail(value, "a string"));
    out = view;
    return true;
  }

  template <typename Id>
  bool id(std::string_view key, const element& value, Id& out) {
    std::string_view view;
    constexpr size_t kDigits = 2 * std::tuple_size_v<decltype(out.bytes)>;
    if (value.get(view) != simdjson::SUCCESS ||
        (!view.empty() && !from_hex(view, out.bytes.data(), out.bytes.size()))) {
      return in_field(key, fail(value, std::to_string(kDigits) + " hex digits"));
    }
    return true;
  }

  /// A number, or a string with one, as proto3 JSON has 64-bit integers.
  bool integer(std::string_view key, const element& value, int64_t& out, int64_t low,
               const char* expected) {
    std::string_view view;
    double number = 0;
    std::optional<int64_t> result;
    if (value.type() == element_type::INT64) {
      result = int64_t(value);
    } else if (value.get(view) == simdjson::SUCCESS) {
      result = parse_int(view);
    } else if (value.type() == element_type::DOUBLE && value.get(number) == simdjson::SUCCESS &&
               std::abs(number) < 9e15 && std::trunc(number) == number) {
      result = static_cast<int64_t>(number);
    }
    if (!result || *result < low) return in_field(key, fail(value, expected));
    out = *result;
    return true;
  }
  bool time(std::string_view key, const element& value, int64_t& out) {
    return integer(key, value, out, 0, "nanoseconds from 0 to 2^63 - 1");
  }

  template <typename E, size_t N>
  bool enumeration(std::string_view key, const element& value, E& out, std::string_view prefix,
                   const std::array<std::string_view, N>& names) {
    std::string_view view;
    int64_t number = 0;
    if (value.type() == element_type::INT64 && value.get(number) == simdjson::SUCCESS) {
      // A value that OTLP does not define is as good as none, as in the binary form.
      out = number >= 0 && number < static_cast<int64_t>(N) ? static_cast<E>(number) : E{};
      return true;
    }
    if (value.get(view) == simdjson::SUCCESS && view.starts_with(prefix)) {
      for (size_t i = 0; i < N; ++i) {
        if (view.substr(prefix.size()) != names[i]) continue;
        out = static_cast<E>(i);
        return true;
      }
    }
    return in_field(key,
                    fail(value, "an integer, or a name that starts with " + std::string(prefix)));
  }

  bool double_value(const element& value, Value& out) {
    double number = 0;
    std::string_view view;
    if (value.get(number) == simdjson::SUCCESS) {
      out.data = number;
      return true;
    }
    if (value.get(view) == simdjson::SUCCESS) {
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
    return fail(value, "a number");
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
    return fields(from, [&](std::string_view key, const element& value) {
      if (is(key, "stringValue", "string_value")) {
        return text(key, value, out.data.emplace<std::string>());
      }
      if (is(key, "intValue", "int_value")) {
        return integer(key, value, out.data.emplace<int64_t>(), std::numeric_limits<int64_t>::min(),
                       "a 64-bit integer");
      }
      if (is(key, "doubleValue", "double_value")) return in_field(key, double_value(value, out));
      if (is(key, "boolValue", "bool_value")) {
        bool flag = false;
        if (value.get(flag) != simdjson::SUCCESS) {
          return in_field(key, fail(value, "true or false"));
        }
        out.data = flag;
        return true;
      }
      if (is(key, "arrayValue", "array_value")) {
        auto& items = out.data.emplace<Value::Array>();
        return in_field(key, values(value, items, &JsonDecoder::any_value));
      }
      if (is(key, "kvlistValue", "kvlist_value")) {
        auto& items = out.data.emplace<Value::Map>();
        return in_field(key, values(value, items, &JsonDecoder::key_value));
      }
      if (is(key, "bytesValue", "bytes_value")) return in_field(key, bytes_value(value, out));
      return true;
    });
  }

  /// ArrayValue and KeyValueList: an object with `values`.
  template <typename T>
  bool values(const element& from, std::vector<T>& out,
              bool (JsonDecoder::*read)(const element&, T&)) {
    return fields(from, [&](std::string_view key, const element& value) {
      return key != "values" || list(key, value, out, read);
    });
  }

  bool key_value(const element& from, KeyValue& out) {
    return fields(from, [&](std::string_view key, const element& value) {
      if (key == "key") return text(key, value, out.key);
      if (key == "value") return in_field(key, any_value(value, out.value));
      return true;
    });
  }

  bool event(const element& from, Event& out) {
    return fields(from, [&](std::string_view key, const element& value) {
      if (is(key, "timeUnixNano", "time_unix_nano")) return time(key, value, out.time_unix_ns);
      if (key == "name") return text(key, value, out.name);
      if (key == "attributes") return list(key, value, out.attributes, &JsonDecoder::key_value);
      return true;
    });
  }

  bool link(const element& from, Link& out) {
    return fields(from, [&](std::string_view key, const element& value) {
      if (is(key, "traceId", "trace_id")) return id(key, value, out.trace_id);
      if (is(key, "spanId", "span_id")) return id(key, value, out.span_id);
      if (is(key, "traceState", "trace_state")) return text(key, value, out.trace_state);
      if (key == "attributes") return list(key, value, out.attributes, &JsonDecoder::key_value);
      return true;
    });
  }

  bool status(const element& from, Span& out) {
    static constexpr std::array<std::string_view, 3> kCodes = {"UNSET", "OK", "ERROR"};
    return fields(from, [&](std::string_view key, const element& value) {
      if (key == "message") return text(key, value, out.status_message);
      if (key == "code") return enumeration(key, value, out.status, "STATUS_CODE_", kCodes);
      return true;
    });
  }

  bool span_field(std::string_view key, const element& value, Span& out) {
    static constexpr std::array<std::string_view, 6> kKinds = {
        "UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"};
    if (is(key, "traceId", "trace_id")) return id(key, value, out.trace_id);
    if (is(key, "spanId", "span_id")) return id(key, value, out.span_id);
    if (is(key, "parentSpanId", "parent_span_id")) return id(key, value, out.parent_span_id);
    if (is(key, "traceState", "trace_state")) return text(key, value, out.trace_state);
    if (key == "name") return text(key, value, out.name);
    if (key == "kind") return enumeration(key, value, out.kind, "SPAN_KIND_", kKinds);
    if (is(key, "startTimeUnixNano", "start_time_unix_nano")) {
      return time(key, value, out.start_unix_ns);
    }
    if (is(key, "endTimeUnixNano", "end_time_unix_nano")) return time(key, value, out.end_unix_ns);
    if (key == "attributes") return list(key, value, out.attributes, &JsonDecoder::key_value);
    if (key == "events") return list(key, value, out.events, &JsonDecoder::event);
    if (key == "links") return list(key, value, out.links, &JsonDecoder::link);
    if (key == "status") return in_field(key, status(value, out));
    if (key == "flags") {
      int64_t flags = 0;
      if (!integer(key, value, flags, 0, "flags from 0 to 2^32 - 1")) return false;
      if (flags > std::numeric_limits<uint32_t>::max()) {
        return in_field(key, fail(value, "flags from 0 to 2^32 - 1"));
      }
      out.flags = static_cast<uint32_t>(flags);
    }
    return true;
  }

  bool span(const element& from, Span& out) {
    return fields(from, [&](std::string_view key, const element& value) {
      return span_field(key, value, out);
    });
  }

  bool scope(const element& from, Scope& out) {
    return fields(from, [&](std::string_view key, const element& value) {
      if (key == "name") return text(key, value, out.name);
      if (key == "version") return text(key, value, out.version);
      if (key == "attributes") return list(key, value, out.attributes, &JsonDecoder::key_value);
      return true;
    });
  }

  bool scope_spans(const element& from, ScopeSpans& out) {
    return fields(from, [&](std::string_view key, const element& value) {
      if (key == "scope") return in_field(key, scope(value, out.scope));
      if (key == "spans") return list(key, value, out.spans, &JsonDecoder::span);
      if (is(key, "schemaUrl", "schema_url")) return text(key, value, out.schema_url);
      return true;
    });
  }

  bool resource(const element& from, Resource& out) {
    return fields(from, [&](std::string_view key, const element& value) {
      return key != "attributes" || list(key, value, out.attributes, &JsonDecoder::key_value);
    });
  }

  bool resource_spans(const element& from, ResourceSpans& out) {
    return fields(from, [&](std::string_view key, const element& value) {
      if (key == "resource") return in_field(key, resource(value, out.resource));
      if (is(key, "scopeSpans", "scope_spans")) {
        return list(key, value, out.scope_spans, &JsonDecoder::scope_spans);
      }
      if (is(key, "schemaUrl", "schema_url")) return text(key, value, out.schema_url);
      return true;
    });
  }

  Problem problem_;
};

}  // namespace

Result<OtlpJsonLine> decode_otlp_json_line(std::string_view text) {
  // simdjson may hand a null pointer to memcpy for an empty text.
  if (text.empty()) return malformed("not valid JSON: got nothing, expected an object");
  simdjson::dom::parser parser;
  element root;
  auto error = parser.allocate(std::max<size_t>(text.size(), 64), kDepthMax);
  if (error == simdjson::SUCCESS) {
    error = parser.parse(text.data(), text.size(), /*realloc_if_needed=*/true).get(root);
  }
  if (error != simdjson::SUCCESS) {
    return malformed(std::string("not valid JSON: ") + simdjson::error_message(error));
  }
  OtlpJsonLine line;
  JsonDecoder decoder;
  if (!decoder.request(root, line)) return malformed(decoder.problem());
  return line;
}

Result<TraceBatch> decode_otlp_json(std::string_view text) {
  Result<OtlpJsonLine> line = decode_otlp_json_line(text);
  if (!line) return std::move(line).error();
  return std::move(line->batch);
}

}  // namespace touchstone::telemetry
