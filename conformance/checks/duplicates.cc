// Ids that are no ids, spans that came twice, requests that were recorded twice.
#include <map>
#include <set>
#include <tuple>

#include "conformance/checks/check.h"

namespace touchstone::conformance {

void check_ids_valid(const CheckInput& input, Recorder& recorder) {
  recorder.not_applicable("no span");
  for (const SpanView& view : input.index.spans) {
    recorder.examined();
    const bool trace = view.span->trace_id.is_valid();
    if (trace && view.span->span_id.is_valid()) continue;
    const std::string which = trace ? "span id" : "trace id";
    recorder.violation(view, {.fold = which,
                              .message = "the " + which + " is all zero, which means no id",
                              .expected = "an id",
                              .actual = "zero"});
  }
}

void check_span_id_unique(const CheckInput& input, Recorder& recorder) {
  recorder.not_applicable("no span");
  std::map<SpanId, size_t> first;
  for (size_t i = 0; i < input.index.spans.size(); ++i) {
    const SpanView& view = input.index.spans[i];
    if (!view.span->span_id.is_valid()) continue;
    recorder.examined();
    const auto [found, is_new] = first.try_emplace(view.span->span_id, i);
    if (is_new) continue;
    const telemetry::Span& other = *input.index.spans[found->second].span;
    const bool same = other == *view.span;
    recorder.violation(view, {.fold = same ? "delivered twice" : "reused",
                              .message = same ? "the span was delivered more than once"
                                              : "the span id is that of another span, in trace " +
                                                    other.trace_id.hex(),
                              .expected = "each span id once",
                              .actual = same ? "the same span again" : "another span with the id"});
  }
}

void check_request_recorded_once(const CheckInput& input, Recorder& recorder) {
  if (!input.evidence.ledger) {
    recorder.not_applicable("no ledger: equal spans may be choices that ended together");
    return;
  }
  recorder.not_applicable("no request span with a request id");
  // The choices of one request share its id and start, and those that end in one engine step may
  // share the end too: so many equal ones are no repetition. Only the ledger knows how many.
  std::map<TraceId, int64_t> choices;
  for (const records::LedgerEntry& entry : *input.evidence.ledger)
    choices[entry.trace_id] = entry.choices;
  using Key = std::tuple<TraceId, std::string, int64_t, int64_t>;
  std::map<Key, std::set<SpanId>> seen;
  for (const SpanView& view : input.index.spans) {
    if (view.type == nullptr || !view.type->is_request) continue;
    const auto id = SpanIndex::text(view, input.profile, "request_id");
    if (!id) continue;
    recorder.examined();
    const telemetry::Span& span = *view.span;
    std::set<SpanId>& equal = seen[{span.trace_id, *id, span.start_unix_ns, span.end_unix_ns}];
    const SpanId earlier = equal.empty() ? span.span_id : *equal.begin();
    // An equal span id is the duplicate of span.id.unique.
    if (!equal.insert(span.span_id).second) continue;
    const auto owed = choices.find(span.trace_id);
    const int64_t allowed = owed == choices.end() ? 1 : owed->second;
    if (static_cast<int64_t>(equal.size()) <= allowed) continue;
    recorder.violation(view,
                       {.fold = "",
                        .message = "request " + *id + " was recorded twice: span " + earlier.hex() +
                                   " has the same trace, request id, start and end",
                        .expected = "one span a completion",
                        .actual = "two spans with different ids",
                        .context = {{"request_id", *id}}});
  }
}

}  // namespace touchstone::conformance
