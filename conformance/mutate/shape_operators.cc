// What a span is apart from its attributes: name, kind, status, scope, events, links, flags, and
// what its sender dropped.
#include "base/clock.h"
#include "conformance/mutate/operator.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::Span;
using telemetry::SpanKind;
using telemetry::StatusCode;

/// Of places whose type fits.
template <typename Fits, typename Damage>
std::vector<Mutant> where(const Good& good, const Fits& fits, const Damage& damage) {
  std::vector<GoodSpan> places = good.places();
  std::erase_if(places, [&](const GoodSpan& place) { return !fits(place); });
  return on_spans(places, damage);
}

bool anywhere(const GoodSpan&) { return true; }

std::vector<Mutant> renamed(const Good& good) {
  return where(good, anywhere, [](Span& span) { span.name += "s"; });
}

std::vector<Mutant> capitals(const Good& good) {
  return where(good, anywhere, [](Span& span) {
    for (char& c : span.name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  });
}

std::vector<Mutant> nameless(const Good& good) {
  return where(good, anywhere, [](Span& span) { span.name.clear(); });
}

std::vector<Mutant> other_kind(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places()) {
    if (!place.type->kind && !place.type->match.kind) continue;
    for (const SpanKind kind : {SpanKind::kUnspecified, SpanKind::kInternal, SpanKind::kServer,
                                SpanKind::kClient, SpanKind::kProducer, SpanKind::kConsumer}) {
      if (kind == place.span->kind) continue;
      mutants.push_back(
          {std::string(to_string(kind)) + " for " + place_text(place),
           [at = place.at, kind](Evidence& evidence) { span_at(evidence, at).kind = kind; }});
    }
  }
  return mutants;
}

std::vector<Mutant> other_status(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places()) {
    const auto& allowed = place.type->statuses;
    if (allowed.empty()) continue;
    for (const StatusCode code : {StatusCode::kUnset, StatusCode::kOk, StatusCode::kError}) {
      if (std::find(allowed.begin(), allowed.end(), code) != allowed.end()) continue;
      mutants.push_back(
          {std::to_string(static_cast<int>(code)) + " for " + place_text(place),
           [at = place.at, code](Evidence& evidence) { span_at(evidence, at).status = code; }});
    }
  }
  return mutants;
}

/// A damage of the scope of each place whose type says it.
template <typename Fits, typename Damage>
std::vector<Mutant> on_scopes(const Good& good, const Fits& fits, const Damage& damage) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places()) {
    if (!fits(place)) continue;
    mutants.push_back({place_text(place), [at = place.at, damage](Evidence& evidence) {
                         damage(scope_at(evidence, at));
                       }});
  }
  return mutants;
}

std::vector<Mutant> other_scope(const Good& good) {
  return on_scopes(
      good, [](const GoodSpan& place) { return !place.type->scopes.empty(); },
      [](telemetry::ScopeSpans& scoped) { scoped.scope.name += ".other"; });
}

std::vector<Mutant> scope_version(const Good& good) {
  return on_scopes(good, anywhere,
                   [](telemetry::ScopeSpans& scoped) { scoped.scope.version = "99"; });
}

std::vector<Mutant> other_schema(const Good& good) {
  return on_scopes(
      good, [](const GoodSpan& place) { return place.type->schema_url.has_value(); },
      [](telemetry::ScopeSpans& scoped) { scoped.schema_url += "9"; });
}

bool closes_events(const GoodSpan& place) {
  return place.type->max_events == 0 || place.type->unknown_events == result::Level::kMust;
}

std::vector<Mutant> event_added(const Good& good) {
  return where(good, closes_events, [](Span& span) {
    telemetry::Event& event = span.events.emplace_back();
    event.name = "note";
    event.time_unix_ns = span.start_unix_ns;
  });
}

bool owes_events(const GoodSpan& place) {
  return !place.type->events.empty() && !place.span->events.empty();
}

/// Whether the span must have its last event.
bool owes_last_event(const GoodSpan& place) {
  if (!owes_events(place)) return false;
  for (const EventRule& rule : place.type->events) {
    if (rule.name != place.span->events.back().name) continue;
    return rule.min > 0 && (!rule.when || holds(*rule.when, telemetry::find(place.span->attributes,
                                                                            rule.when->key)));
  }
  return false;
}
bool may_lose_event(const GoodSpan& place) { return owes_events(place) && !owes_last_event(place); }

void lose_last_event(Span& span) { span.events.pop_back(); }

std::vector<Mutant> event_lost(const Good& good) {
  return where(good, owes_last_event, lose_last_event);
}

std::vector<Mutant> optional_event_lost(const Good& good) {
  return where(good, may_lose_event, lose_last_event);
}

std::vector<Mutant> event_twice(const Good& good) {
  return where(good, owes_events, [](Span& span) { span.events.push_back(span.events.front()); });
}

std::vector<Mutant> event_renamed(const Good& good) {
  return where(good, owes_events, [](Span& span) { span.events.front().name += "s"; });
}

std::vector<Mutant> event_after_end(const Good& good) {
  return where(good, owes_events, [](Span& span) {
    span.events.front().time_unix_ns = span.end_unix_ns + 60 * kNsPerSecond;
  });
}

std::vector<Mutant> event_before_start(const Good& good) {
  return where(good, owes_events, [](Span& span) {
    span.events.front().time_unix_ns = span.start_unix_ns - 60 * kNsPerSecond;
  });
}

std::vector<Mutant> link_added(const Good& good) {
  return where(
      good, [](const GoodSpan& place) { return place.type->max_links == 0; },
      [](Span& span) {
        telemetry::Link& link = span.links.emplace_back();
        link.trace_id = span.trace_id;
        link.span_id = span.parent_span_id;
      });
}

std::vector<Mutant> unflagged(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places(true)) {
    const auto& topology = place.profile->topology;
    if (!topology || !topology->remote_flag || !place.span->parent_span_id.is_valid()) continue;
    if (good.parent_of(place) != nullptr) continue;  // it is not remote
    mutants.push_back({place_text(place),
                       [at = place.at](Evidence& evidence) { span_at(evidence, at).flags = 0; },
                       *topology->remote_flag});
  }
  return mutants;
}

std::vector<Mutant> dropped_attributes(const Good& good) {
  return where(good, anywhere, [](Span& span) { span.dropped_attributes_count = 3; });
}
std::vector<Mutant> dropped_events(const Good& good) {
  return where(good, anywhere, [](Span& span) { span.dropped_events_count = 1; });
}
std::vector<Mutant> dropped_links(const Good& good) {
  return where(good, anywhere, [](Span& span) { span.dropped_links_count = 1; });
}
std::vector<Mutant> dropped_of_scope(const Good& good) {
  return on_scopes(good, anywhere, [](telemetry::ScopeSpans& scoped) {
    scoped.scope.dropped_attributes_count = 1;
  });
}
std::vector<Mutant> dropped_of_event(const Good& good) {
  return where(good, owes_events,
               [](Span& span) { span.events.front().dropped_attributes_count = 1; });
}

constexpr OperatorRow kRows[] = {
    {"span.rename", "a span has another name", kAlways, renamed},
    {"span.capitals", "a span's name is in capitals", kAlways, capitals},
    {"span.nameless", "a span has no name", kAlways, nameless},
    {"span.kind", "a span has another kind", kAlways, other_kind},
    {"span.status", "a span has a status that its type has not", kAlways, other_status},
    {"span.scope", "a span comes from another scope", kAlways, other_scope},
    {"span.scope_version", "the scope has another version", kNever, scope_version},
    {"span.schema_url", "a span has another schema URL", kAlways, other_schema},
    {"event.add", "an event too many", kAlways, event_added},
    {"event.lose", "an event is missing", kAlways, event_lost},
    {"event.lose_optional", "an event that may be absent is missing", kNever, optional_event_lost},
    {"event.twice", "an event twice", kAlways, event_twice},
    {"event.rename", "an event has another name", kAlways, event_renamed},
    {"event.late", "an event after its span", kAlways, event_after_end},
    {"event.early", "an event before its span", kAlways, event_before_start},
    {"link.add", "a link where there are none", kAlways, link_added},
    {"span.unflagged", "the remote parent is not flagged", kAlways, unflagged},
    {"dropped.attributes", "the sender dropped attributes of a span", kAlways, dropped_attributes},
    {"dropped.events", "the sender dropped events", kAlways, dropped_events},
    {"dropped.links", "the sender dropped links", kAlways, dropped_links},
    {"dropped.scope", "the sender dropped attributes of a scope", kAlways, dropped_of_scope},
    {"dropped.event", "the sender dropped attributes of an event", kAlways, dropped_of_event}};

}  // namespace

OperatorTable shape_operators() { return kRows; }

}  // namespace touchstone::conformance::mutate
