#include "harness/request_view.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/clock.h"
#include "base/text.h"
#include "conformance/evidence_reader.h"
#include "conformance/matching.h"
#include "telemetry/otlp/read_ahead.h"

namespace touchstone::harness {
namespace {

using records::LedgerEntry;
using result::WaterfallBar;
using telemetry::Span;

/// A span with what it came with.
struct Found {
  Span span;
  telemetry::Resource resource;
  std::string scope;
};

/// True when a text of the span is the id, or the id without the number of its choice.
bool names(const Span& span, const std::string& id) {
  return std::any_of(span.attributes.begin(), span.attributes.end(), [&](const auto& one) {
    const std::string* text = one.value.string();
    if (text == nullptr || !text->starts_with(id)) return false;
    const std::string_view rest = std::string_view(*text).substr(id.size());
    return rest.empty() || (rest[0] == '-' && parse_int(rest.substr(1)).has_value());
  });
}

/// Visits each span of the files.
Status for_each_span(const std::vector<std::string>& files,
                     const std::function<void(const Span&, const telemetry::ResourceSpans&,
                                              const telemetry::ScopeSpans&)>& visit) {
  const auto read =
      telemetry::read_otlp_files_ahead(files, [&](const telemetry::TraceBatch& batch) -> Status {
        for (const telemetry::ResourceSpans& group : batch) {
          for (const telemetry::ScopeSpans& scoped : group.scope_spans) {
            for (const Span& span : scoped.spans) visit(span, group, scoped);
          }
        }
        return {};
      });
  return read ? Status() : Status(read.error());
}

/// Requests of the ledger with this name, number or id.
std::vector<LedgerEntry> entries_of(const std::vector<LedgerEntry>& ledger, const std::string& id) {
  const auto trace = TraceId::parse(id);
  const auto number = parse_int(id);
  std::vector<LedgerEntry> found;
  for (const LedgerEntry& entry : ledger) {
    const bool is_it = (trace && entry.trace_id == *trace) || entry.response_id == id ||
                       entry.request_id == id || entry.name == id ||
                       (number && entry.index == *number);
    if (is_it && !id.empty()) found.push_back(entry);
  }
  return found;
}

void add(WaterfallBar& bar, const std::string& key, const std::string& value) {
  if (!value.empty()) bar.attributes.emplace_back(key, value);
}

WaterfallBar client_bar(const LedgerEntry& entry, int64_t origin_ns) {
  const double sent = to_seconds(entry.sent_unix_ns - origin_ns);
  WaterfallBar bar{.label = "client: " + conformance::describe(entry),
                   .start_s = sent,
                   .end_s = sent + to_seconds(entry.done_ns),
                   .depth = 0,
                   .attributes = {}};
  add(bar, "sent", format_utc(entry.sent_unix_ns));
  add(bar, "to", entry.endpoint + (entry.stream ? ", streamed" : ""));
  add(bar, "model", entry.model);
  add(bar, "tenant", entry.tenant);
  add(bar, "status", std::to_string(entry.status) + ", " + to_string(entry.outcome));
  add(bar, "error", entry.error);
  add(bar, "response", entry.response_id);
  add(bar, "finish reasons", join(entry.finish_reasons, ", "));
  if (entry.first_chunk_ns) add(bar, "first chunk after", format_duration(*entry.first_chunk_ns));
  add(bar, "tokens",
      std::to_string(entry.prompt_tokens) + " in, " + std::to_string(entry.output_tokens) + " out");
  return bar;
}

/// The spans of one trace in the order of their tree.
class Tree final {
 public:
  Tree(const std::vector<Found>& spans, int64_t origin_ns) : origin_ns_(origin_ns) {
    std::set<SpanId> ids;
    for (const Found& one : spans) ids.insert(one.span.span_id);
    for (const Found& one : spans) {
      const SpanId parent = one.span.parent_span_id;
      children_[ids.contains(parent) && parent != one.span.span_id ? parent : SpanId()].push_back(
          &one);
    }
    for (auto& [parent, list] : children_) {
      std::stable_sort(list.begin(), list.end(), [](const Found* a, const Found* b) {
        return a->span.start_unix_ns < b->span.start_unix_ns;
      });
    }
  }

  void append(std::vector<WaterfallBar>& bars, int depth) { append(SpanId(), bars, depth); }

 private:
  void append(const SpanId& parent, std::vector<WaterfallBar>& bars, int depth) {
    for (const Found* one : children_[parent]) {
      if (!shown_.insert(one).second) continue;  // parents in a circle
      bars.push_back(bar_of(*one, depth));
      add_events(one->span, bars, depth + 1);
      if (one->span.span_id.is_valid()) append(one->span.span_id, bars, depth + 1);
    }
  }

  WaterfallBar bar_of(const Found& one, int depth) const {
    static constexpr const char* kStatuses[] = {"", "ok", "error"};
    const Span& span = one.span;
    WaterfallBar bar{.label = span.name,
                     .start_s = to_seconds(span.start_unix_ns - origin_ns_),
                     .end_s = to_seconds(span.end_unix_ns - origin_ns_),
                     .depth = depth,
                     .attributes = {}};
    add(bar, "span", span.span_id.hex());
    if (span.parent_span_id.is_valid()) add(bar, "parent", span.parent_span_id.hex());
    add(bar, "kind", to_lower(telemetry::to_string(span.kind)));
    const telemetry::Value* service = telemetry::find(one.resource.attributes, "service.name");
    if (service != nullptr) add(bar, "service", service->text());
    add(bar, "scope", one.scope);
    add(bar, "status",
        kStatuses[static_cast<int>(span.status)] +
            (span.status_message.empty() ? "" : ": " + span.status_message));
    for (const telemetry::KeyValue& attribute : span.attributes) {
      add(bar, attribute.key, attribute.value.text());
    }
    return bar;
  }

  void add_events(const Span& span, std::vector<WaterfallBar>& bars, int depth) const {
    for (const telemetry::Event& event : span.events) {
      const double at = to_seconds(event.time_unix_ns - origin_ns_);
      WaterfallBar bar{
          .label = "* " + event.name, .start_s = at, .end_s = at, .depth = depth, .attributes = {}};
      for (const auto& attribute : event.attributes) {
        add(bar, attribute.key, attribute.value.text());
      }
      bars.push_back(std::move(bar));
    }
  }

  const int64_t origin_ns_;
  std::map<SpanId, std::vector<const Found*>> children_;  // by parent; none: roots
  std::set<const Found*> shown_;
};

result::Report report_of(const std::string& id, const std::vector<LedgerEntry>& entries,
                         const std::vector<Found>& spans) {
  int64_t origin = INT64_MAX;
  for (const LedgerEntry& entry : entries) origin = std::min(origin, entry.sent_unix_ns);
  for (const Found& one : spans) origin = std::min(origin, one.span.start_unix_ns);
  result::Report report;
  report.title = "request " + id;
  report.verdict = result::Verdict::kSkip;
  const TraceId trace = spans.empty() ? entries.front().trace_id : spans.front().span.trace_id;
  result::Waterfall waterfall{.title = "trace " + trace.hex(), .bars = {}};
  for (const LedgerEntry& entry : entries) waterfall.bars.push_back(client_bar(entry, origin));
  Tree(spans, origin).append(waterfall.bars, entries.empty() ? 0 : 1);
  report.summary = format_count(static_cast<int64_t>(spans.size())) +
                   (spans.size() == 1 ? " span" : " spans") + " from " + format_utc(origin);
  if (spans.empty()) report.notes.push_back("No span of this request was found.");
  if (entries.empty())
    report.notes.push_back("No ledger has it: what its client saw is not known.");
  report.waterfalls.push_back(std::move(waterfall));
  return report;
}

}  // namespace

Result<result::Report> view_request(const std::string& id, const RequestSources& sources) {
  std::vector<LedgerEntry> entries;
  std::vector<LedgerEntry> ledger;
  if (!sources.ledger.empty()) {
    auto read = records::read_ledger(sources.ledger);
    if (!read) return std::move(read).error();
    ledger = *std::move(read);
    entries = entries_of(ledger, id);
  }
  std::set<TraceId> traces;
  if (const auto trace = TraceId::parse(id)) traces.insert(*trace);
  for (const LedgerEntry& entry : entries) traces.insert(entry.trace_id);
  if (traces.empty()) {  // an id that only spans know
    RETURN_IF_ERROR(for_each_span(sources.spans, [&](const Span& span, const auto&, const auto&) {
      if (names(span, id)) traces.insert(span.trace_id);
    }));
    for (const LedgerEntry& entry : ledger) {
      if (traces.contains(entry.trace_id)) entries.push_back(entry);
    }
  }
  std::vector<Found> spans;
  int64_t more = 0;
  RETURN_IF_ERROR(
      for_each_span(sources.spans, [&](const Span& span, const auto& group, const auto& scoped) {
        if (!traces.contains(span.trace_id)) return;
        if (spans.size() == kSpansShown) {
          ++more;
        } else {
          spans.push_back({span, group.resource, scoped.scope.name});
        }
      }));
  if (spans.empty() && entries.empty()) {
    return not_found(
        "report: --request: got " + quote(id) + ", which neither spans nor ledger know",
        "a trace id, a request or response id, or a request's name in the ledger");
  }
  result::Report report = report_of(id, entries, spans);
  if (more > 0) {
    report.notes.push_back(format_count(more) + " more spans of this trace are not shown.");
  }
  return report;
}

}  // namespace touchstone::harness
