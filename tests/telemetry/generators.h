// RapidCheck generators shared by the tests of telemetry/.
#pragma once

#include "telemetry/span.h"
#include "tests/support/generators.h"

namespace touchstone::telemetry {

using namespace touchstone::testing;  // NOLINT: the generators are this file's own vocabulary

/// Values nest up to `depth`.
inline Value any_value(int depth) {
  switch (*rc::gen::inRange(0, depth > 0 ? 8 : 6)) {
    case 0:
      return Value();
    case 1:
      return Value(*gen_text());
    case 2:
      return Value(*rc::gen::arbitrary<bool>());
    case 3:
      return Value(*rc::gen::arbitrary<int64_t>());
    case 4:
      return Value(*gen_number());
    case 5: {
      Value value;
      value.data = Value::Bytes{*rc::gen::container<std::string>(rc::gen::arbitrary<char>())};
      return value;
    }
    case 6: {
      Value::Array items;
      for (int i = *rc::gen::inRange(0, 3); i > 0; --i) items.push_back(any_value(depth - 1));
      return Value(std::move(items));
    }
    default: {
      Value::Map map;
      for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
        map.push_back({*gen_text(), any_value(depth - 1)});
      }
      Value value;
      value.data = std::move(map);
      return value;
    }
  }
}

inline Attributes any_attributes() {
  Attributes attributes;
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
    attributes.push_back({*gen_text(), any_value(3)});
  }
  return attributes;
}

inline uint32_t any_dropped() { return *rc::gen::element<uint32_t>(0, 0, 1, 300, ~0u); }

inline Span any_span() {
  Span span;
  span.trace_id = *gen_id<TraceId>();
  span.span_id = *gen_id<SpanId>();
  if (*rc::gen::arbitrary<bool>()) span.parent_span_id = *gen_id<SpanId>();
  span.trace_state = *gen_text();
  span.flags = *rc::gen::arbitrary<uint32_t>();
  span.name = *gen_text();
  span.kind = static_cast<SpanKind>(*rc::gen::inRange(0, 6));
  span.start_unix_ns = *gen_count();
  span.end_unix_ns = *gen_count();
  span.attributes = any_attributes();
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
    span.events.push_back({*gen_count(), *gen_text(), any_attributes(), any_dropped()});
    span.links.push_back({*gen_id<TraceId>(), *gen_id<SpanId>(), *gen_text(), any_attributes(),
                          any_dropped(), *rc::gen::arbitrary<uint32_t>()});
  }
  span.dropped_attributes_count = any_dropped();
  span.dropped_events_count = any_dropped();
  span.dropped_links_count = any_dropped();
  span.status = static_cast<StatusCode>(*rc::gen::inRange(0, 3));
  span.status_message = *gen_text();
  return span;
}

inline rc::Gen<TraceBatch> gen_batch() {
  return rc::gen::exec([] {
    TraceBatch batch;
    for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
      ResourceSpans& group = batch.emplace_back();
      group.resource = {any_attributes(), any_dropped()};
      group.schema_url = *gen_text();
      for (int j = *rc::gen::inRange(0, 3); j > 0; --j) {
        ScopeSpans& scope = group.scope_spans.emplace_back();
        scope.scope = {*gen_text(), *gen_text(), any_attributes(), any_dropped()};
        scope.schema_url = *gen_text();
        for (int k = *rc::gen::inRange(0, 3); k > 0; --k) scope.spans.push_back(any_span());
      }
    }
    return batch;
  });
}

}  // namespace touchstone::telemetry
