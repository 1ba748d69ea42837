#include "conformance/observed.h"

#include <algorithm>

#include "conformance/hash.h"

namespace touchstone::conformance {
namespace {

// What a span of a family with a few values takes.
constexpr size_t kFamilyBytes = 128;

/// Adds what the request's other checks compare with its usage.
void add_usage(const SpanView& view, RequestMatch& request) {
  request.completion_tokens += view.number("completion_tokens").value_or(0);
  const auto tokens = view.number("prompt_tokens");
  if (!tokens) return;
  const auto id = view.text("request_id");
  const uint64_t prompt = id ? Hash64().add(*id).value() : Hash64().add(view.span->span_id).value();
  const std::pair<uint64_t, double> pair(prompt, *tokens);
  if (std::find(request.prompts.begin(), request.prompts.end(), pair) == request.prompts.end()) {
    request.prompts.push_back(pair);
  }
}

}  // namespace

ObservedRun::ObservedRun(const Evidence& evidence, size_t spans_in_memory)
    : spans_by_id(spans_in_memory), redeliveries(spans_in_memory) {
  if (!evidence.ledger) return;
  for (const records::LedgerEntry& entry : *evidence.ledger) {
    client_traces.insert(entry.trace_id);
    client_spans.emplace(entry.trace_id, entry.span_id);
  }
}

bool ObservedRun::is_client_span(const TraceId& trace, const SpanId& id) const {
  return client_spans.contains({trace, id});
}

Observed::Observed(const CompiledProfile& profile, size_t number, const Evidence& evidence,
                   size_t spans_in_memory)
    : compiled(profile),
      bit(static_cast<uint16_t>(1u << number)),
      phases(profile),
      coverage(profile),
      reconciled(profile, evidence),
      families(profile, spans_in_memory * kFamilyBytes) {
  if (evidence.ledger && profile.profile().accounting) {
    matching.emplace(*evidence.ledger, profile.profile());
  }
}

void Observed::match(SpanView& view) {
  if (!view.is_request() || !view.is_first() || !matching) return;
  const auto id = view.text("request_id");
  view.request = matching->add(*view.span, id);
  if (!id) return;
  const telemetry::Span& span = *view.span;
  const uint64_t hash = Hash64()
                            .add(span.trace_id)
                            .add(*id)
                            .add(static_cast<uint64_t>(span.start_unix_ns))
                            .add(static_cast<uint64_t>(span.end_unix_ns))
                            .value();
  Twins& twins = twins_[hash];
  if (++twins.count == 1) twins.first = span.span_id;
  view.twins = &twins;
}

Status Observed::add(const SpanView& view, bool is_mine) {
  if (is_mine && view.is_first()) RETURN_IF_ERROR(families.add(view));
  if (view.type == nullptr) return {};
  coverage.add(view);
  if (sightings) sightings->add(view);
  if (!view.is_request()) return {};
  ++request_spans;
  if (!view.is_first()) {
    ++duplicate_requests;
    return {};
  }
  failed_requests += view.span->status == telemetry::StatusCode::kError;
  reconciled.add(view);
  phases.add(view);
  examples.add(view);
  if (view.request != nullptr) add_usage(view, *view.request);
  return {};
}

}  // namespace touchstone::conformance
