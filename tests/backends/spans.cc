#include "tests/backends/spans.h"

#include <algorithm>

#include "base/check.h"
#include "base/clock.h"
#include "telemetry/otlp/file.h"
#include "telemetry/otlp/json.h"
#include "tests/support/paths.h"

namespace touchstone::harness {

using telemetry::Span;
using telemetry::TraceBatch;
using telemetry::Value;

TraceBatch recorded_spans(const std::string& file) {
  auto read = telemetry::read_otlp_file(support::source_dir() + "/" + file);
  BASE_CHECK(read.has_value() && read->summary.problem_count == 0, file);
  return std::move(read->batch);
}

TraceBatch odd_span() {
  Span span;
  span.trace_id = *TraceId::parse("000000000000000000000000000000aa");
  span.span_id = *SpanId::parse("00000000000000bb");
  span.trace_state = "a=b";
  span.flags = 0x301;
  span.name = "x";
  span.kind = telemetry::SpanKind::kInternal;
  span.start_unix_ns = 1'795'614'916'544'268'435;
  span.end_unix_ns = 1'795'614'916'723'342'808;
  Value bytes;
  bytes.data = Value::Bytes{std::string("\0\1\2", 3)};
  Value map;
  map.data = Value::Map{{"a", Value(0.5)}};
  span.attributes = {{"text", "t"},
                     {"flag", true},
                     {"int", int64_t{1} << 60},
                     {"double", 1.5},
                     {"bytes", bytes},
                     {"map", map},
                     {"empty", {}},
                     {"list", Value(Value::Array{Value(1), Value("b")})}};
  span.dropped_attributes_count = 3;
  span.dropped_events_count = 4;
  span.dropped_links_count = 5;
  span.status = telemetry::StatusCode::kError;
  span.status_message = "m";
  span.events = {{span.start_unix_ns + 1, "ev", {{"k", "v"}}, 7}};
  telemetry::Link link;
  link.trace_id = *TraceId::parse("000000000000000000000000000000cc");
  link.span_id = *SpanId::parse("00000000000000dd");
  link.trace_state = "q=r";
  link.flags = 1;
  span.links = {link};
  telemetry::ResourceSpans group;
  group.resource = {{{"service.name", "odd"}, {"n", 3}}, 2};
  group.scope_spans = {{{"s", "1", {{"sa", true}}, 1}, "http://s", {span}}};
  return {group};
}

TraceBatch many_traces(int traces, int64_t start_unix_ns) {
  telemetry::ResourceSpans group;
  group.resource.attributes = {{"service.name", "many"}};
  group.scope_spans.resize(1);
  for (int i = 0; i < traces; ++i) {
    Span span;
    span.trace_id.bytes[0] = 7;
    span.trace_id.bytes[14] = static_cast<uint8_t>(i >> 8);
    span.trace_id.bytes[15] = static_cast<uint8_t>(i & 0xff);
    span.span_id.bytes[7] = 1;
    span.name = "n";
    span.start_unix_ns = start_unix_ns + i * kNsPerMs;
    span.end_unix_ns = span.start_unix_ns + kNsPerMs;
    group.scope_spans[0].spans.push_back(span);
  }
  return {group};
}

TraceBatch shifted(TraceBatch batch, int64_t by_ns) {
  for (telemetry::ResourceSpans& group : batch) {
    for (telemetry::ScopeSpans& scoped : group.scope_spans) {
      for (Span& span : scoped.spans) {
        span.start_unix_ns += by_ns;
        span.end_unix_ns += by_ns;
        for (telemetry::Event& event : span.events) event.time_unix_ns += by_ns;
      }
    }
  }
  return batch;
}

std::vector<std::string> as_texts(const TraceBatch& batch) {
  const auto by_key = [](const auto& a, const auto& b) { return a.key < b.key; };
  std::vector<std::string> texts;
  for (const telemetry::ResourceSpans& group : batch) {
    for (const telemetry::ScopeSpans& scoped : group.scope_spans) {
      for (const Span& span : scoped.spans) {
        telemetry::ResourceSpans alone{
            group.resource, group.schema_url, {{scoped.scope, scoped.schema_url, {span}}}};
        std::stable_sort(alone.resource.attributes.begin(), alone.resource.attributes.end(),
                         by_key);
        auto& attributes = alone.scope_spans[0].spans[0].attributes;
        std::stable_sort(attributes.begin(), attributes.end(), by_key);
        texts.push_back(telemetry::encode_otlp_json({alone}));
      }
    }
  }
  std::sort(texts.begin(), texts.end());
  return texts;
}

}  // namespace touchstone::harness
