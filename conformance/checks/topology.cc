// The shape of traces: parents, roots, orphans, cycles, remote flags.
#include <algorithm>
#include <vector>

#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

/// True when the row's parent is a client's span, or has one above it: a web framework's span may
/// stand between client and request.
bool is_below_client(const ObservedRun& run, const TraceRows& trace, const SpanRow& row) {
  constexpr int kBetweenMax = 32;  // also ends a cycle, which another check tells
  const SpanRow* at = &row;
  for (int i = 0; i < kBetweenMax && at->parent.is_valid(); ++i) {
    if (run.is_client_span(at->trace, at->parent)) return true;
    const size_t parent = trace.position(at->parent);
    if (parent == trace.size()) return false;
    at = &trace[parent];
  }
  return false;
}

void parent_is_client(const CheckInput& input, const TraceRows& trace, Recorder& recorder) {
  const auto& topology = input.profile().topology;
  if (!topology || topology->parent != ParentRule::kClientSpan) {
    recorder.not_applicable("the profile does not say whose child a request's span is");
    return;
  }
  if (!input.observed.matching) {
    recorder.not_applicable("no ledger: the clients' spans are not known");
    return;
  }
  if (!trace.id().is_valid() || !input.run.client_traces.contains(trace.id())) return;
  for (const SpanRow& row : trace) {
    if ((row.request_of & input.observed.bit) == 0) continue;
    recorder.examined();
    if (is_below_client(input.run, trace, row)) continue;
    const bool root = !row.parent.is_valid();
    recorder.violation(
        input.run, row,
        {.fold = root ? "root" : "other",
         .message = "the span of trace " + row.trace.hex() + " is " +
                    (root ? std::string("a root") : "a child of " + row.parent.hex()) +
                    ", expected the client's span as parent, or above it",
         .expected = "below the client's span",
         .actual = root ? "none" : row.parent.hex()});
  }
}

void no_orphan(const CheckInput& input, const TraceRows& trace, Recorder& recorder) {
  if (input.profile().topology && input.profile().topology->orphans_allowed) {
    recorder.not_applicable("the profile allows orphans");
    return;
  }
  for (const SpanRow& row : trace) {
    if (!row.parent.is_valid()) continue;
    recorder.examined();
    // A remote parent lives in the client's process, whose spans need not be collected; so may that
    // of a request's or a server's span whose sender says nothing of it.
    const bool serves = row.request_of != 0 || row.kind == telemetry::SpanKind::kServer;
    const bool silent = (row.flags & telemetry::kFlagHasIsRemote) == 0 && serves;
    const bool known = silent || says_remote(row.flags) ||
                       input.run.is_client_span(row.trace, row.parent) ||
                       trace.contains(row.parent);
    if (known) continue;
    recorder.violation(input.run, row,
                       {.fold = "",
                        .message = "the parent " + row.parent.hex() +
                                   " was not collected, is no client's span and is not flagged "
                                   "as remote",
                        .expected = "a parent that exists",
                        .actual = row.parent.hex()});
  }
}

void one_root(const CheckInput& input, const TraceRows& trace, Recorder& recorder) {
  if (!trace.id().is_valid()) return;
  recorder.examined();
  const bool in_request = std::any_of(trace.begin(), trace.end(),
                                      [](const SpanRow& row) { return row.request_of != 0; });
  // The client's own span is the root of its trace, whether or not it was collected.
  const bool has_client = input.run.client_traces.contains(trace.id());
  int64_t roots = has_client ? 1 : 0;
  for (const SpanRow& row : trace) {
    if (row.parent.is_valid() || input.run.is_client_span(row.trace, row.id)) continue;
    if (++roots < 2 || !in_request) continue;
    recorder.violation(input.run, row,
                       {.fold = has_client ? "client" : "",
                        .message = has_client ? "the span is a second root beside the client's"
                                              : "the span is a second root of its trace",
                        .expected = "one root a trace",
                        .actual = std::to_string(roots) + " roots"});
  }
}

void no_cycle(const CheckInput& input, const TraceRows& trace, Recorder& recorder) {
  for (const SpanRow& row : trace) {
    if (row.parent.is_valid()) recorder.examined();
  }
  const auto parent_of = [&](size_t at) {
    return trace[at].parent.is_valid() ? trace.position(trace[at].parent) : trace.size();
  };
  // Each span is walked over once: `visited` says on which walk, from 1.
  std::vector<uint32_t> visited(trace.size(), 0);
  uint32_t walk = 0;
  for (size_t start = 0; start < trace.size(); ++start) {
    ++walk;
    size_t at = start;
    while (at < trace.size() && visited[at] == 0) {
      visited[at] = walk;
      at = parent_of(at);
    }
    if (at == trace.size() || visited[at] != walk) continue;
    size_t member = at;
    do {
      recorder.violation(input.run, trace[member],
                         {.fold = "",
                          .message = "the span is its own ancestor",
                          .expected = "no cycle",
                          .actual = "a cycle"});
      member = parent_of(member);
    } while (member != at);
  }
}

void remote_flag(const CheckInput& input, const TraceRows& trace, Recorder& recorder) {
  if (!input.profile().topology || !input.profile().topology->remote_flag) {
    recorder.not_applicable("the profile does not ask for remote flags");
    return;
  }
  for (const SpanRow& row : trace) {
    if ((row.request_of & input.observed.bit) == 0 || !row.parent.is_valid()) continue;
    if (trace.contains(row.parent)) continue;
    recorder.examined();
    if (says_remote(row.flags)) continue;
    recorder.violation(input.run, row,
                       {.level = *input.profile().topology->remote_flag,
                        .fold = "",
                        .message = "the parent is in another process, but the span's flags do "
                                   "not say so: they are " +
                                   std::to_string(row.flags),
                        .expected = "bits 8 and 9 set (768)",
                        .actual = std::to_string(row.flags)});
  }
}

using enum CheckRow::Of;
constexpr CheckRow kRows[] = {
    {.id = "topology.parent_is_client",
     .title = "Spans are children of the client's span",
     .group = "topology",
     .source = "W3C Trace Context level 2, section 3.2.2.4: parent-id is the id of this request "
               "as known by the caller.",
     .nothing = "no span of a request that was sent with a traceparent",
     .on_trace = parent_is_client},
    {.id = "topology.orphan",
     .title = "Every parent exists",
     .group = "topology",
     .of = kRun,
     .source = "opentelemetry-proto v1.11.0, trace.proto, Span.parent_span_id: the span_id of "
               "this span's parent.",
     .nothing = "no span with a parent",
     .on_trace = no_orphan},
    {.id = "topology.one_root",
     .title = "One root a trace",
     .group = "topology",
     .of = kRun,
     .source = "OpenTelemetry specification 1.50.0, Overview, Traces: a trace has one root span.",
     .nothing = "no trace",
     .on_trace = one_root},
    {.id = "topology.cycle",
     .title = "No span is its own ancestor",
     .group = "topology",
     .of = kRun,
     .source = "OpenTelemetry specification 1.50.0, Overview, Traces: a trace is a directed "
               "acyclic graph.",
     .nothing = "no span with a parent",
     .on_trace = no_cycle},
    {.id = "topology.remote_flag",
     .title = "Remote parents are flagged",
     .group = "topology",
     .level = result::Level::kShould,
     .source = "opentelemetry-proto v1.11.0, trace.proto, SpanFlags: bits 8 and 9 say whether the "
               "parent is remote.",
     .nothing = "no request span whose parent is in another process",
     .on_trace = remote_flag}};

}  // namespace

CheckTable topology_checks() { return kRows; }

}  // namespace touchstone::conformance
