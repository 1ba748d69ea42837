// The table of checks: what stands here is what is checked. Ids are names and are never reused.
#include "conformance/checks/check.h"

namespace touchstone::conformance {

namespace {

using result::Level;

constexpr CheckRow kChecks[] = {
    {"input.received", "Telemetry was received", "input", Level::kMust,
     "Touchstone 0.1: zero telemetry is never a pass.", check_spans_received},
    {"input.readable", "Every line of the span input can be read", "input", Level::kMust,
     "OTLP 1.11.0, JSON Protobuf Encoding: what cannot be parsed was not delivered.",
     check_input_readable},
    {"request.answered", "Every request was answered as the workload expects", "load", Level::kMust,
     "Touchstone 0.1: a verdict on a load holds only if the load took place.",
     check_request_answered},

    {"span.known_type", "Every span is of a type the profile knows", "schema", Level::kMust,
     "the profile's span types (match) at its pinned version.", check_span_known_type},
    {"span.name", "Span names have the profile's form", "schema", Level::kMust,
     "OpenTelemetry specification 1.50.0, Tracing API, Span: the name identifies a class of "
     "spans; the form is the profile's.",
     check_span_name},
    {"span.kind", "Span kinds", "schema", Level::kMust,
     "OpenTelemetry specification 1.50.0, Tracing API, SpanKind: a server span covers "
     "server-side handling of a request while the client awaits a response.",
     check_span_kind},
    {"span.status", "Span status", "schema", Level::kMust,
     "OpenTelemetry specification 1.50.0, Tracing API, Set Status: the status is one of Unset, "
     "Ok, Error; which one is the profile's.",
     check_span_status},
    {"span.events", "Number of span events", "schema", Level::kMust,
     "the profile's span types (expect.max_events) at its pinned version.", check_span_events},
    {"span.scope", "Instrumentation scope", "schema", Level::kMust,
     "OpenTelemetry specification 1.50.0, Common, Instrumentation Scope: the scope's name tells "
     "who emitted the span.",
     check_span_scope},
    {"span.schema_url", "Schema URL", "schema", Level::kMust,
     "OpenTelemetry specification 1.50.0, Schemas: the schema URL names the version of the "
     "conventions that the telemetry follows.",
     check_span_schema_url},

    {"span.attribute.required", "Required attributes are present", "coverage", Level::kMust,
     "the profile's attributes at its pinned version: what is required is on every span.",
     check_attribute_required},
    {"span.attribute.type", "Attribute types", "schema", Level::kMust,
     "OpenTelemetry specification 1.50.0, Common, Attribute: a value has the type its "
     "convention gives it.",
     check_attribute_type},
    {"span.attribute.range", "Attribute ranges", "schema", Level::kMust,
     "the profile's attributes (min, max) at its pinned version.", check_attribute_range},
    {"span.attribute.enum", "Attribute values are among those allowed", "schema", Level::kMust,
     "the profile's attributes (one_of) at its pinned version.", check_attribute_enum},
    {"span.attribute.pattern", "Attribute values have their form", "schema", Level::kMust,
     "the profile's attributes (pattern) at its pinned version.", check_attribute_pattern},
    {"span.attribute.forbidden", "Forbidden attributes are absent", "schema", Level::kMust,
     "the profile's forbidden keys at its pinned version, each with its reason.",
     check_attribute_forbidden},
    {"span.attribute.unknown", "No attribute beyond the profile's", "schema", Level::kShould,
     "the profile's unknown_attributes at its pinned version.", check_attribute_unknown},
    {"span.attribute.twice", "No attribute key twice on a span", "schema", Level::kMust,
     "opentelemetry-proto v1.11.0, trace.proto, Span.attributes: attribute keys MUST be unique.",
     check_attribute_twice},
    {"span.relation", "Relations between the numbers of a span", "schema", Level::kMust,
     "the profile's relations at its pinned version.", check_relations},

    {"resource.required", "Required resource attributes are present", "coverage", Level::kMust,
     "OpenTelemetry semantic conventions 1.43.0, Resource: service.name MUST be given; the rest "
     "is the profile's.",
     check_resource_required},
    {"resource.value", "Resource attributes have their type and form", "schema", Level::kMust,
     "the profile's resource rules at its pinned version.", check_resource_value},
    {"resource.forbidden", "Forbidden resource attributes are absent", "schema", Level::kMust,
     "the profile's forbidden resource keys at its pinned version.", check_resource_forbidden},

    {"span.id.valid", "Trace and span ids are ids", "identity", Level::kMust,
     "opentelemetry-proto v1.11.0, trace.proto: an id with all bytes zero is invalid.",
     check_ids_valid},
    {"span.id.unique", "No span id twice", "identity", Level::kMust,
     "OTLP 1.11.0, Duplicate Data: a client may send the same data again, so a consumer must "
     "expect and count it.",
     check_span_id_unique},
    {"span.request.once", "No completion recorded by two spans", "identity", Level::kMust,
     "Touchstone 0.1, invariant of spans: every finished request has exactly its spans.",
     check_request_recorded_once},

    {"time.order", "Spans end after they start", "time", Level::kMust,
     "opentelemetry-proto v1.11.0, trace.proto, Span.end_time_unix_nano: semantically "
     "expected to be at or after the start.",
     check_time_order},
    {"time.bounds", "Span times are sane", "time", Level::kMust,
     "opentelemetry-proto v1.11.0, trace.proto: times are UNIX epoch nanoseconds.",
     check_time_bounds},
    {"time.client_window", "Spans lie within what the client saw", "time", Level::kMust,
     "Touchstone 0.1: a server works on a request between its sending and its response, within "
     "the clock skew the profile grants.",
     check_time_client_window},
    {"time.latency_within_span", "No latency is longer than its span", "time", Level::kMust,
     "Touchstone 0.1: each latency attribute is an interval within its request.",
     check_latency_within_span},

    {"topology.parent_is_client", "Spans are children of the client's span", "topology",
     Level::kMust,
     "W3C Trace Context level 2, section 3.2.2.4: parent-id is the id of this request as known "
     "by the caller.",
     check_parent_is_client},
    {"topology.orphan", "Every parent exists", "topology", Level::kMust,
     "opentelemetry-proto v1.11.0, trace.proto, Span.parent_span_id: the span_id of this span's "
     "parent.",
     check_no_orphan},
    {"topology.one_root", "One root a trace", "topology", Level::kMust,
     "OpenTelemetry specification 1.50.0, Overview, Traces: a trace has one root span.",
     check_one_root},
    {"topology.cycle", "No span is its own ancestor", "topology", Level::kMust,
     "OpenTelemetry specification 1.50.0, Overview, Traces: a trace is a directed acyclic graph.",
     check_no_cycle},
    {"topology.remote_flag", "Remote parents are flagged", "topology", Level::kShould,
     "opentelemetry-proto v1.11.0, trace.proto, SpanFlags: bits 8 and 9 say whether the parent "
     "is remote.",
     check_remote_flag},

    {"completeness.missing", "Every owed span arrived", "completeness", Level::kMust,
     "the profile's accounting at its pinned version, against the ledger.", check_no_span_missing},
    {"completeness.surplus", "No request has more spans than it may", "completeness", Level::kMust,
     "the profile's accounting at its pinned version, against the ledger.", check_no_span_surplus},
    {"completeness.unexplained", "Every span belongs to a request that was sent", "completeness",
     Level::kMust, "the profile's accounting at its pinned version, against the ledger.",
     check_no_span_unexplained},
    {"completeness.ledger", "The ledger can tell its requests apart", "completeness", Level::kMust,
     "W3C Trace Context level 2, section 3.2.2.4: each request has its own parent-id.",
     check_accounts_add_up},
    {"collector.loss", "The Collector lost nothing", "completeness", Level::kMust,
     "OpenTelemetry Collector 0.159.0, internal telemetry: refused, dropped, enqueue_failed and "
     "send_failed spans are lost.",
     check_collector_loss},
    {"collector.received_all", "The Collector accepted every owed span", "completeness",
     Level::kMust,
     "OpenTelemetry Collector 0.159.0, internal telemetry: otelcol_receiver_accepted_spans.",
     check_collector_received_all},
    {"collector.delivered_all", "Each exporter sent all that was accepted", "completeness",
     Level::kMust,
     "OpenTelemetry Collector 0.159.0, internal telemetry: otelcol_exporter_sent_spans.",
     check_collector_delivered_all},

    {"reconcile.usage_prompt", "HTTP usage and spans agree on prompt tokens", "reconciliation",
     Level::kMust, "Touchstone 0.1: one request has one number of prompt tokens, whoever says it.",
     check_usage_prompt},
    {"reconcile.usage_completion", "HTTP usage and spans agree on completion tokens",
     "reconciliation", Level::kMust,
     "Touchstone 0.1: one request has one number of completion tokens, whoever says it.",
     check_usage_completion},
    {"reconcile.counters", "Token counters agree with spans", "reconciliation", Level::kMust,
     "the profile's reconcile rules (counter) at its pinned version.", check_counters},
    {"reconcile.requests", "Request counters agree with what clients saw", "reconciliation",
     Level::kMust, "the profile's reconcile rules (requests) at its pinned version.",
     check_requests_by_reason},
    {"reconcile.histograms", "Histograms agree with spans, bucket by bucket", "reconciliation",
     Level::kMust, "the profile's reconcile rules (histogram) at its pinned version.",
     check_histograms},

    {"metric.present", "Metrics are there", "metrics", Level::kMust,
     "the profile's metrics at its pinned version.", check_metric_present},
    {"metric.type", "Metric types", "metrics", Level::kMust,
     "Prometheus text exposition format 0.0.4: TYPE says counter, gauge, histogram or summary.",
     check_metric_type},
    {"metric.labels", "Metric labels", "metrics", Level::kMust,
     "the profile's metrics (labels) at its pinned version.", check_metric_labels},
    {"metric.buckets", "Histogram bounds", "metrics", Level::kMust,
     "the profile's metrics (buckets) at its pinned version.", check_metric_buckets},
    {"metric.value", "Metric values are finite, in range and cumulative", "metrics", Level::kMust,
     "Prometheus text exposition format 0.0.4, Histograms: buckets are cumulative, the last "
     "equals the count.",
     check_metric_values},
};

}  // namespace

std::span<const CheckRow> all_checks() { return kChecks; }

}  // namespace touchstone::conformance
