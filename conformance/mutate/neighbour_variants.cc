// Spans of others in the same files, and the same spans delivered again.
#include <algorithm>
#include <set>
#include <utility>

#include "base/clock.h"
#include "conformance/mutate/variant.h"
#include "telemetry/redelivery.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::Attributes;
using telemetry::Span;
using telemetry::SpanKind;

SpanId fresh_id(const SpanId& from, uint8_t salt) {
  SpanId id = from;
  id.bytes[1] ^= 0x3C;
  id.bytes[6] ^= salt;
  return id;
}

/// A span of somebody else that lasts as long as `like`.
Span foreign(const Span& like, const std::string& name, SpanKind kind, const SpanId& parent,
             uint8_t salt) {
  Span span;
  span.trace_id = like.trace_id;
  span.span_id = fresh_id(like.span_id, salt);
  span.parent_span_id = parent;
  span.flags = telemetry::kFlagHasIsRemote | telemetry::kFlagSampled;
  span.name = name;
  span.kind = kind;
  span.start_unix_ns = like.start_unix_ns;
  span.end_unix_ns = like.end_unix_ns;
  span.attributes = {{"http.request.method", "POST"}, {"http.route", "/v1/completions"}};
  return span;
}

/// The Collector passed them on as well.
void count(Evidence& evidence, size_t more) {
  if (!evidence.collector_metrics) return;
  for (telemetry::MetricFamily& family : evidence.collector_metrics->families) {
    for (telemetry::Sample& sample : family.samples) {
      const std::string& name = sample.name;
      const bool counts = name.starts_with("otelcol_receiver_accepted_spans") ||
                          name.starts_with("otelcol_exporter_sent_spans");
      const bool items = name.starts_with("otelcol_processor_incoming_items") ||
                         name.starts_with("otelcol_processor_outgoing_items");
      const auto signal = sample.labels.find("otel_signal");
      const bool traces = signal != sample.labels.end() && signal->second == "traces";
      if (counts || (items && traces)) sample.value += static_cast<double>(more);
    }
  }
}

void put(Evidence& evidence, const Attributes& resource, const std::string& scope,
         std::vector<Span> spans) {
  count(evidence, spans.size());
  evidence.spans.push_back({{{resource, 0}, "", {{{scope, "0.61b0", {}}, "", std::move(spans)}}}});
}

const Attributes kClient = {{"service.name", "chat-frontend"},
                            {"telemetry.sdk.language", "python"},
                            {"telemetry.sdk.name", "opentelemetry"},
                            {"telemetry.sdk.version", "1.45.2"},
                            {"cloud.region", "eu-central"}};

/// The resource of the span's own process.
Attributes own_resource(Evidence& evidence, const SpanAt& at) {
  return group_at(evidence, at).resource.attributes;
}

/// The span itself, or the one above it that nothing collected is above.
const GoodSpan& top_of(const Good& good, const GoodSpan& span) {
  const GoodSpan* top = &span;
  while (const GoodSpan* parent = good.parent_of(*top)) top = parent;
  return *top;
}

/// Request spans, or what is above them, whose parent was not collected: the client's spans are
/// elsewhere. Each once.
std::vector<GoodSpan> topmost(const Good& good) {
  std::vector<GoodSpan> spans;
  std::set<SpanId> seen;
  for (const GoodSpan& span : good.spans()) {
    if (span.type == nullptr || !span.type->is_request) continue;
    const GoodSpan& top = top_of(good, span);
    if (!top.span->parent_span_id.is_valid() || !seen.insert(top.span->span_id).second) continue;
    spans.push_back(top);
  }
  return spans;
}

/// An instrumented web framework: the request's span is a child of its span.
bool middleware(const Good& good, Evidence& evidence) {
  const std::vector<GoodSpan> lone = good.lone_requests();
  std::vector<Span> spans;
  for (const GoodSpan& request : lone) {
    Span& span = span_at(evidence, top_of(good, request).at);
    if (!span.parent_span_id.is_valid()) continue;
    Span& between = spans.emplace_back(
        foreign(span, "POST /v1/completions", SpanKind::kServer, span.parent_span_id, 1));
    between.flags |= telemetry::kFlagIsRemote;
    span.parent_span_id = between.span_id;
    span.flags = telemetry::kFlagHasIsRemote;
  }
  if (spans.empty()) return false;
  put(evidence, own_resource(evidence, lone.front().at), "opentelemetry.instrumentation.fastapi",
      std::move(spans));
  return true;
}

/// The same, but its span is the request's sibling, as vLLM has it.
bool sibling(const Good& good, Evidence& evidence) {
  std::vector<Span> spans;
  for (const GoodSpan& request : topmost(good)) {
    Span& span = spans.emplace_back(foreign(*request.span, "POST /v1/completions",
                                            SpanKind::kServer, request.span->parent_span_id, 2));
    span.flags |= telemetry::kFlagIsRemote;
  }
  if (spans.empty()) return false;
  put(evidence, own_resource(evidence, good.spans().front().at),
      "opentelemetry.instrumentation.fastapi", std::move(spans));
  return true;
}

/// The clients' own spans, roots of their traces.
bool clients(const Good& good, Evidence& evidence) {
  std::vector<Span> spans;
  TraceId last;
  for (const GoodSpan& request : topmost(good)) {
    if (request.span->trace_id == last) continue;
    last = request.span->trace_id;
    Span span = foreign(*request.span, "chat", SpanKind::kClient, {}, 3);
    span.span_id = request.span->parent_span_id;
    spans.push_back(std::move(span));
  }
  if (spans.empty()) return false;
  put(evidence, kClient, "frontend", std::move(spans));
  return true;
}

bool other_service(const Good& good, Evidence& evidence) {
  Span span = foreign(*good.spans().front().span, "SELECT orders", SpanKind::kClient, {}, 4);
  span.trace_id.bytes[0] ^= 0xFF;
  span.attributes = {{"db.system.name", "postgresql"}};
  Attributes resource = kClient;
  resource.front().value = "shop";
  put(evidence, resource, "db", {span});
  return true;
}

bool health_checks(const Good& good, Evidence& evidence) {
  std::vector<Span> spans;
  for (uint8_t i = 0; i < 3; ++i) {
    Span& span = spans.emplace_back(
        foreign(*good.spans().front().span, "GET /health", SpanKind::kServer, {}, 5 + i));
    span.trace_id.bytes[1] ^= static_cast<uint8_t>(0xF0 + i);
  }
  put(evidence, own_resource(evidence, good.spans().front().at),
      "opentelemetry.instrumentation.fastapi", std::move(spans));
  return true;
}

/// INTERNAL spans of an instrumented library in the server's own process.
bool internal_spans(const Good& good, Evidence& evidence) {
  Span span = foreign(*good.spans().front().span, "redis.lookup", SpanKind::kInternal, {}, 9);
  span.trace_id.bytes[2] ^= 0xFF;
  span.attributes = {{"cache.hit", true}};
  put(evidence, own_resource(evidence, good.spans().front().at), "my.plugin", {span});
  return true;
}

/// Loading, as vLLM's decorator records it.
bool startup(const Good& good, Evidence& evidence) {
  const Profile& profile = good.profiles().front();
  const bool knows = std::any_of(profile.spans.begin(), profile.spans.end(),
                                 [](const SpanType& type) { return type.type == "startup"; });
  if (!knows) return false;
  const Span& like = *good.spans().front().span;
  Span root = foreign(like, "Overall Loading", SpanKind::kInternal, {}, 20);
  root.trace_id.bytes[3] ^= 0xFF;
  root.start_unix_ns -= 90 * kNsPerSecond;
  root.end_unix_ns = root.start_unix_ns + 60 * kNsPerSecond;
  root.attributes = {{"code.function", "run_server"},
                     {"code.namespace", "vllm.entrypoints.openai.api_server"},
                     {"code.filepath", "/opt/vllm/entrypoints/openai/api_server.py"},
                     {"code.lineno", "1203"}};
  Span child = root;
  child.name = "Load model";
  child.span_id = fresh_id(like.span_id, 21);
  child.parent_span_id = root.span_id;
  Span bytecode = child;
  bytecode.name = "Dynamo bytecode transform";
  bytecode.span_id = fresh_id(like.span_id, 22);
  bytecode.attributes = {{"dynamo.time_seconds", 3.5}};
  put(evidence, own_resource(evidence, good.spans().front().at), "vllm.v1.engine.core",
      {root, child, bytecode});
  return true;
}

/// Some profile wants copies to be marked.
bool wants_marks(const Good& good) {
  return std::any_of(good.profiles().begin(), good.profiles().end(),
                     [](const Profile& profile) { return profile.redelivery.has_value(); });
}

bool batch_again(const Good& good, Evidence& evidence) {
  if (wants_marks(good)) return false;
  const telemetry::TraceBatch again = evidence.spans.front();
  evidence.spans.push_back(again);
  return true;
}

bool span_again(const Good& good, Evidence& evidence) {
  if (wants_marks(good)) return false;
  const SpanAt& at = good.spans().front().at;
  const Span again = span_at(evidence, at);
  scope_at(evidence, at).spans.push_back(again);
  return true;
}

bool all_again(const Good& good, Evidence& evidence) {
  if (wants_marks(good)) return false;
  const std::vector<telemetry::TraceBatch> again = evidence.spans;
  evidence.spans.insert(evidence.spans.end(), again.begin(), again.end());
  return true;
}

/// A sender that died before it knew what had arrived: all of it again, and marked.
bool all_again_marked(const Good&, Evidence& evidence) {
  const size_t batches = evidence.spans.size();
  for (size_t i = 0; i < batches; ++i) {
    telemetry::TraceBatch again = evidence.spans[i];
    telemetry::mark_redelivery(again);
    evidence.spans.push_back(std::move(again));
  }
  return true;
}

/// The same, but the Collector was overtaken: the copies come first, and once more at the end.
bool marked_first(const Good&, Evidence& evidence) {
  std::vector<telemetry::TraceBatch> marked = evidence.spans;
  for (telemetry::TraceBatch& batch : marked) telemetry::mark_redelivery(batch);
  evidence.spans.insert(evidence.spans.begin(), marked.begin(), marked.end());
  evidence.spans.insert(evidence.spans.end(), marked.begin(), marked.end());
  return true;
}

/// What waited on a sender's disk when it died: marked, and never here before.
bool marked_alone(const Good&, Evidence& evidence) {
  for (telemetry::TraceBatch& batch : evidence.spans) telemetry::mark_redelivery(batch);
  return true;
}

constexpr VariantRow kRows[] = {
    {"neighbour.middleware", "a web framework's span between client and request", middleware},
    {"neighbour.sibling", "a web framework's span beside the request's", sibling},
    // A profile may want to know of other services.
    {"neighbour.clients", "the clients' own spans", clients, kAlways, result::Level::kMust},
    {"neighbour.service", "spans of another service", other_service, kAlways, result::Level::kMust},
    {"neighbour.health", "spans of health checks", health_checks},
    {"neighbour.internal", "INTERNAL spans of a library in the server", internal_spans},
    {"neighbour.startup", "spans of loading", startup},
    {"again.batch", "a batch that was sent again", batch_again},
    {"again.span", "a span that was sent again", span_again},
    {"again.all", "everything was sent again", all_again},
    {"again.marked", "everything was sent again and is marked so", all_again_marked},
    {"again.marked_first", "marked copies before and after what they are copies of", marked_first},
    {"again.marked_alone", "everything is marked as sent again, and came once", marked_alone}};

}  // namespace

VariantTable neighbour_variants() { return kRows; }

}  // namespace touchstone::conformance::mutate
