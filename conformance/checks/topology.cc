// The shape of traces: parents, roots, orphans, cycles, remote flags.
#include <map>
#include <set>

#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

using telemetry::Span;

bool says_remote(const Span& span) {
  return (span.flags & telemetry::kFlagHasIsRemote) != 0 &&
         (span.flags & telemetry::kFlagIsRemote) != 0;
}

/// Trace and span ids of what the clients sent.
std::set<std::pair<TraceId, SpanId>> client_spans(const CheckInput& input) {
  std::set<std::pair<TraceId, SpanId>> spans;
  if (!input.evidence.ledger) return spans;
  for (const records::LedgerEntry& entry : *input.evidence.ledger) {
    spans.emplace(entry.trace_id, entry.span_id);
  }
  return spans;
}

bool parent_was_collected(const CheckInput& input, const Span& span) {
  return input.index.by_id.contains({span.trace_id, span.parent_span_id});
}

}  // namespace

void check_parent_is_client(const CheckInput& input, Recorder& recorder) {
  if (!input.profile.topology || input.profile.topology->parent != ParentRule::kClientSpan) {
    recorder.not_applicable("the profile does not say whose child a request's span is");
    return;
  }
  if (!input.matching) {
    recorder.not_applicable("no ledger: the clients' spans are not known");
    return;
  }
  recorder.not_applicable("no span of a request that was sent with a traceparent");
  for (const RequestMatch& match : input.matching->requests) {
    if (!match.entry->trace_id.is_valid() || !match.entry->span_id.is_valid()) continue;
    for (const size_t i : match.spans) {
      const SpanView& view = input.index.spans[i];
      recorder.examined();
      if (view.span->parent_span_id == match.entry->span_id) continue;
      const bool root = !view.span->parent_span_id.is_valid();
      recorder.violation(
          view, {.fold = root ? "root" : "other",
                 .message = describe(*match.entry) + ": the span is " +
                            (root ? std::string("a root")
                                  : "a child of " + view.span->parent_span_id.hex()) +
                            ", expected a child of the client's span " + match.entry->span_id.hex(),
                 .expected = match.entry->span_id.hex(),
                 .actual = root ? "none" : view.span->parent_span_id.hex(),
                 .context = {{"request", describe(*match.entry)}}});
    }
  }
}

void check_no_orphan(const CheckInput& input, Recorder& recorder) {
  if (input.profile.topology && input.profile.topology->orphans_allowed) {
    recorder.not_applicable("the profile allows orphans");
    return;
  }
  recorder.not_applicable("no span with a parent");
  const auto clients = client_spans(input);
  for (const SpanView& view : input.index.spans) {
    const Span& span = *view.span;
    if (!span.parent_span_id.is_valid()) continue;
    recorder.examined();
    // A remote parent lives in the client's process, whose spans need not be collected.
    const bool known = parent_was_collected(input, span) || says_remote(span) ||
                       clients.contains({span.trace_id, span.parent_span_id});
    if (known) continue;
    recorder.violation(view, {.fold = "",
                              .message = "the parent " + span.parent_span_id.hex() +
                                         " was not collected, is no client's span and is not "
                                         "flagged as remote",
                              .expected = "a parent that exists",
                              .actual = span.parent_span_id.hex()});
  }
}

void check_one_root(const CheckInput& input, Recorder& recorder) {
  recorder.not_applicable("no trace");
  std::set<TraceId> client_traces;
  if (input.evidence.ledger) {
    for (const records::LedgerEntry& entry : *input.evidence.ledger)
      client_traces.insert(entry.trace_id);
  }
  for (const auto& [trace, members] : input.index.by_trace) {
    if (!trace.is_valid()) continue;
    recorder.examined();
    // The client's own span is the root of its trace, whether or not it was collected.
    int64_t roots = client_traces.contains(trace) ? 1 : 0;
    bool in_request = false;
    for (const size_t i : members) {
      const SpanView& view = input.index.spans[i];
      in_request |= view.type != nullptr && view.type->is_request;
      if (view.span->parent_span_id.is_valid()) continue;
      ++roots;
      if (roots < 2 || !in_request) continue;
      recorder.violation(view, {.fold = client_traces.contains(trace) ? "client" : "",
                                .message = client_traces.contains(trace)
                                               ? "the span is a second root beside the client's"
                                               : "the span is a second root of its trace",
                                .expected = "one root a trace",
                                .actual = std::to_string(roots) + " roots"});
    }
  }
}

void check_no_cycle(const CheckInput& input, Recorder& recorder) {
  recorder.not_applicable("no span with a parent");
  for (const SpanView& view : input.index.spans) {
    if (!view.span->parent_span_id.is_valid()) continue;
    recorder.examined();
    std::set<SpanId> path = {view.span->span_id};
    SpanId at = view.span->parent_span_id;
    while (at.is_valid() && path.insert(at).second) {
      const auto parent = input.index.by_id.find({view.span->trace_id, at});
      if (parent == input.index.by_id.end()) break;
      at = input.index.spans[parent->second].span->parent_span_id;
    }
    if (at != view.span->span_id) continue;
    recorder.violation(view, {.fold = "",
                              .message = "the span is its own ancestor, over " +
                                         std::to_string(path.size()) + " spans",
                              .expected = "no cycle",
                              .actual = "a cycle"});
  }
}

void check_remote_flag(const CheckInput& input, Recorder& recorder) {
  if (!input.profile.topology || !input.profile.topology->remote_flag) {
    recorder.not_applicable("the profile does not ask for remote flags");
    return;
  }
  recorder.not_applicable("no request span whose parent is in another process");
  for (const SpanView& view : input.index.spans) {
    const Span& span = *view.span;
    if (view.type == nullptr || !view.type->is_request) continue;
    if (!span.parent_span_id.is_valid() || parent_was_collected(input, span)) continue;
    recorder.examined();
    if (says_remote(span)) continue;
    recorder.violation(view, {.level = *input.profile.topology->remote_flag,
                              .fold = "",
                              .message = "the parent is in another process, but the span's flags "
                                         "do not say so: they are " +
                                         std::to_string(span.flags),
                              .expected = "bits 8 and 9 set (768)",
                              .actual = std::to_string(span.flags)});
  }
}

}  // namespace touchstone::conformance
