// The shape of traces: parents, roots, orphans, cycles, remote flags.
#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

void parent_is_client(const CheckInput& input, const SpanView& view, Recorder& recorder) {
  const auto& topology = input.profile().topology;
  if (!topology || topology->parent != ParentRule::kClientSpan) {
    recorder.not_applicable("the profile does not say whose child a request's span is");
    return;
  }
  if (!input.observed.matching) {
    recorder.not_applicable("no ledger: the clients' spans are not known");
    return;
  }
  if (view.request == nullptr) return;
  const records::LedgerEntry& entry = *view.request->entry;
  if (!entry.trace_id.is_valid() || !entry.span_id.is_valid()) return;
  recorder.examined();
  const SpanId parent = view.span->parent_span_id;
  if (parent == entry.span_id) return;
  const bool root = !parent.is_valid();
  recorder.violation(
      view, {.fold = root ? "root" : "other",
             .message = describe(entry) + ": the span is " +
                        (root ? std::string("a root") : "a child of " + parent.hex()) +
                        ", expected a child of the client's span " + entry.span_id.hex(),
             .expected = entry.span_id.hex(),
             .actual = root ? "none" : parent.hex(),
             .place = {.trace_id = "", .span_id = "", .request = describe(entry), .input = {}}});
}

void no_orphan(const CheckInput& input, Recorder& recorder) {
  if (input.profile().topology && input.profile().topology->orphans_allowed) {
    recorder.not_applicable("the profile allows orphans");
    return;
  }
  for (const SpanRow& row : input.run.spans_by_id.rows()) {
    if (!row.parent.is_valid()) continue;
    recorder.examined();
    // A remote parent lives in the client's process, whose spans need not be collected.
    const bool known = says_remote(row.flags) || input.run.is_client_span(row.trace, row.parent) ||
                       input.run.spans_by_id.find(row.trace, row.parent) != nullptr;
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

/// Positions of the rows by trace and span id.
std::vector<uint32_t> by_trace(const std::vector<SpanRow>& rows) {
  // The first bytes of the trace stand beside the position: most rows are then compared in place.
  std::vector<std::pair<uint64_t, uint32_t>> keys(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    uint64_t first = 0;
    for (size_t byte = 0; byte < 8; ++byte) first = first << 8 | rows[i].trace.bytes[byte];
    keys[i] = {first, static_cast<uint32_t>(i)};
  }
  std::sort(keys.begin(), keys.end(), [&](const auto& a, const auto& b) {
    if (a.first != b.first) return a.first < b.first;
    const SpanRow& left = rows[a.second];
    const SpanRow& right = rows[b.second];
    return std::tie(left.trace, left.id) < std::tie(right.trace, right.id);
  });
  std::vector<uint32_t> order(rows.size());
  std::transform(keys.begin(), keys.end(), order.begin(),
                 [](const auto& key) { return key.second; });
  return order;
}

void one_root(const CheckInput& input, Recorder& recorder) {
  const std::vector<SpanRow>& rows = input.run.spans_by_id.rows();
  const std::vector<uint32_t> order = by_trace(rows);
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    const TraceId& trace = rows[order[begin]].trace;
    bool in_request = false;
    for (end = begin; end < order.size() && rows[order[end]].trace == trace; ++end) {
      in_request |= rows[order[end]].request_of != 0;
    }
    if (!trace.is_valid()) continue;
    recorder.examined();
    // The client's own span is the root of its trace, whether or not it was collected.
    const bool has_client = input.run.client_traces.contains(trace);
    int64_t roots = has_client ? 1 : 0;
    for (size_t i = begin; i < end; ++i) {
      const SpanRow& row = rows[order[i]];
      if (row.parent.is_valid() || ++roots < 2 || !in_request) continue;
      recorder.violation(input.run, row,
                         {.fold = has_client ? "client" : "",
                          .message = has_client ? "the span is a second root beside the client's"
                                                : "the span is a second root of its trace",
                          .expected = "one root a trace",
                          .actual = std::to_string(roots) + " roots"});
    }
  }
}

void no_cycle(const CheckInput& input, Recorder& recorder) {
  const SpanRegister& spans = input.run.spans_by_id;
  const SpanRow* first = spans.rows().data();
  // Each span is walked over once: `visited` says on which walk, from 1.
  std::vector<uint32_t> visited(spans.rows().size(), 0);
  uint32_t walk = 0;
  for (const SpanRow& start : spans.rows()) {
    if (start.parent.is_valid()) recorder.examined();
    ++walk;
    const SpanRow* at = &start;
    while (at != nullptr && visited[static_cast<size_t>(at - first)] == 0) {
      visited[static_cast<size_t>(at - first)] = walk;
      at = at->parent.is_valid() ? spans.find(at->trace, at->parent) : nullptr;
    }
    if (at == nullptr || visited[static_cast<size_t>(at - first)] != walk) continue;
    const SpanRow* member = at;
    do {
      recorder.violation(input.run, *member,
                         {.fold = "",
                          .message = "the span is its own ancestor",
                          .expected = "no cycle",
                          .actual = "a cycle"});
      member = spans.find(member->trace, member->parent);
    } while (member != at);
  }
}

void remote_flag(const CheckInput& input, Recorder& recorder) {
  if (!input.profile().topology || !input.profile().topology->remote_flag) {
    recorder.not_applicable("the profile does not ask for remote flags");
    return;
  }
  for (const SpanRow& row : input.run.spans_by_id.rows()) {
    if ((row.request_of & input.observed.bit) == 0 || !row.parent.is_valid()) continue;
    if (input.run.spans_by_id.find(row.trace, row.parent) != nullptr) continue;
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
     .on_span = parent_is_client},
    {.id = "topology.orphan",
     .title = "Every parent exists",
     .group = "topology",
     .of = kRun,
     .source = "opentelemetry-proto v1.11.0, trace.proto, Span.parent_span_id: the span_id of "
               "this span's parent.",
     .nothing = "no span with a parent",
     .at_end = no_orphan},
    {.id = "topology.one_root",
     .title = "One root a trace",
     .group = "topology",
     .of = kRun,
     .source = "OpenTelemetry specification 1.50.0, Overview, Traces: a trace has one root span.",
     .nothing = "no trace",
     .at_end = one_root},
    {.id = "topology.cycle",
     .title = "No span is its own ancestor",
     .group = "topology",
     .of = kRun,
     .source = "OpenTelemetry specification 1.50.0, Overview, Traces: a trace is a directed "
               "acyclic graph.",
     .nothing = "no span with a parent",
     .at_end = no_cycle},
    {.id = "topology.remote_flag",
     .title = "Remote parents are flagged",
     .group = "topology",
     .level = result::Level::kShould,
     .source = "opentelemetry-proto v1.11.0, trace.proto, SpanFlags: bits 8 and 9 say whether the "
               "parent is remote.",
     .nothing = "no request span whose parent is in another process",
     .at_end = remote_flag}};

}  // namespace

CheckTable topology_checks() { return kRows; }

}  // namespace touchstone::conformance
