#include "telemetry/dialects/request_span.h"

#include <utility>

namespace touchstone::telemetry {

bool is_unsampled(const records::RequestRecord& record) {
  return record.trace && !record.trace->sampled();
}

Span request_span(const records::RequestRecord& record, std::string name, SpanIds& ids) {
  Span span;
  span.span_id = ids.next_span_id();
  // opentelemetry-python leaves the W3C flags out of OTLP's `flags`, the sampled bit too.
  span.flags = kFlagHasIsRemote;
  if (record.trace) {
    span.trace_id = record.trace->trace_id;
    span.parent_span_id = record.trace->parent_span_id;
    span.trace_state = record.trace->trace_state;
    // Its propagator calls a parent from the process environment remote as well.
    if (!record.http_span_id) span.flags |= kFlagIsRemote;
  } else {
    span.trace_id = record.own_trace_id ? *record.own_trace_id : ids.next_trace_id();
  }
  span.name = std::move(name);
  span.start_unix_ns = record.arrival_unix_ns;
  span.end_unix_ns = unix_ns_of(record, record.finished_ns);
  if (!record.rate_limit.empty()) {
    span.events.push_back({.time_unix_ns = span.end_unix_ns,
                           .name = "rate_limit.applied",
                           .attributes = {{"rate_limit.of", record.rate_limit}}});
  }
  return span;
}

Span child_span(const Span& parent, const records::RequestRecord& record, std::string name,
                int64_t start_ns, int64_t end_ns, SpanIds& ids) {
  Span span;
  span.trace_id = parent.trace_id;
  span.span_id = ids.next_span_id();
  span.parent_span_id = parent.span_id;
  span.trace_state = parent.trace_state;
  span.flags = kFlagHasIsRemote;
  span.name = std::move(name);
  span.kind = SpanKind::kInternal;
  span.start_unix_ns = unix_ns_of(record, start_ns);
  span.end_unix_ns = unix_ns_of(record, end_ns);
  return span;
}

int64_t unix_ns_of(const records::RequestRecord& record, int64_t ns) {
  return record.arrival_unix_ns + (ns - record.arrival_ns);
}

bool is_failure(const records::RequestRecord& record) {
  return record.outcome != records::Outcome::kStop && record.outcome != records::Outcome::kLength;
}

std::string error_type(const records::RequestRecord& record) {
  if (!record.error_type.empty()) return record.error_type;
  if (record.outcome == records::Outcome::kAbort) return "client_disconnected";
  return std::to_string(record.http_status);
}

const char* operation_name(const records::RequestRecord& record) {
  return record.endpoint == "/v1/completions" ? "text_completion" : "chat";
}

}  // namespace touchstone::telemetry
