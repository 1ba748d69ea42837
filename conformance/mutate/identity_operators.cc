// Ids: none, another's, used twice; and whose child a span is.
#include <algorithm>
#include <optional>

#include "conformance/mutate/operator.h"
#include "telemetry/redelivery.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::Span;

std::vector<Mutant> no_trace_id(const Good& good) {
  return on_spans(good.places(), [](Span& span) { span.trace_id = {}; });
}
std::vector<Mutant> no_span_id(const Good& good) {
  return on_spans(good.places(), [](Span& span) { span.span_id = {}; });
}

std::vector<Mutant> reused(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places()) {
    mutants.push_back({place_text(place), [at = place.at](Evidence& evidence) {
                         Span copy = span_at(evidence, at);
                         ++copy.end_unix_ns;
                         scope_at(evidence, at).spans.push_back(copy);
                       }});
  }
  return mutants;
}

/// Where a profile wants copies to be marked. `marked_first`: a marked one came before both.
std::vector<Mutant> unmarked(const Good& good, bool marked_first) {
  std::vector<Mutant> mutants;
  std::optional<result::Level> level;
  for (const Profile& profile : good.profiles()) {
    if (profile.redelivery)
      level = std::min(level.value_or(*profile.redelivery), *profile.redelivery);
  }
  if (!level) return mutants;
  for (const GoodSpan& place : good.places()) {
    mutants.push_back({place_text(place),
                       [at = place.at, marked_first](Evidence& evidence) {
                         const Span copy = span_at(evidence, at);
                         telemetry::ResourceSpans group = group_at(evidence, at);
                         group.scope_spans = {scope_at(evidence, at)};
                         group.scope_spans[0].spans = {copy};
                         const telemetry::TraceBatch batch = {group};
                         evidence.spans.push_back(batch);
                         if (!marked_first) return;
                         telemetry::TraceBatch marked = batch;
                         telemetry::mark_redelivery(marked);
                         evidence.spans.insert(evidence.spans.begin(), marked);
                       },
                       *level});
  }
  return mutants;
}
std::vector<Mutant> copied_unmarked(const Good& good) { return unmarked(good, false); }
std::vector<Mutant> copied_twice(const Good& good) { return unmarked(good, true); }

/// The mark is no licence: another span under the id of one that came before.
std::vector<Mutant> marked_reused(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places()) {
    mutants.push_back({place_text(place), [at = place.at](Evidence& evidence) {
                         Span copy = span_at(evidence, at);
                         ++copy.end_unix_ns;
                         telemetry::ResourceSpans group = group_at(evidence, at);
                         group.scope_spans = {scope_at(evidence, at)};
                         group.scope_spans[0].spans = {copy};
                         telemetry::TraceBatch batch = {group};
                         telemetry::mark_redelivery(batch);
                         evidence.spans.push_back(batch);
                       }});
  }
  return mutants;
}

std::vector<Mutant> reused_elsewhere(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places()) {
    for (const GoodSpan& other : good.spans()) {
      if (other.type != place.type || other.span->trace_id == place.span->trace_id) continue;
      mutants.push_back(
          {place_text(place), [at = place.at, id = other.span->span_id](Evidence& evidence) {
             span_at(evidence, at).span_id = id;
           }});
      break;
    }
  }
  return mutants;
}

std::vector<Mutant> its_own_parent(const Good& good) {
  return on_spans(good.places(), [](Span& span) { span.parent_span_id = span.span_id; });
}

/// Two spans of one trace, each the other's parent.
std::vector<Mutant> mutual_parents(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places()) {
    for (const GoodSpan& other : good.spans()) {
      if (other.span->trace_id != place.span->trace_id || other.span == place.span) continue;
      mutants.push_back({place_text(place), [at = place.at, to = other.at](Evidence& evidence) {
                           span_at(evidence, at).parent_span_id = span_at(evidence, to).span_id;
                           span_at(evidence, to).parent_span_id = span_at(evidence, at).span_id;
                         }});
      break;
    }
  }
  return mutants;
}

/// A parent that nobody knows, and flags that say it is in this process.
std::vector<Mutant> orphaned(const Good& good) {
  return on_spans(good.places(), [](Span& span) {
    span.parent_span_id.bytes[0] ^= 0xFF;
    span.flags = telemetry::kFlagHasIsRemote;
  });
}

/// The same with a flag that says it is in another process: only the ledger knows that it is not.
std::vector<Mutant> foreign_parent(const Good& good) {
  std::vector<GoodSpan> places = good.places(true);
  std::erase_if(places, [&](const GoodSpan& place) {
    const auto& topology = place.profile->topology;
    return !topology || topology->parent != ParentRule::kClientSpan || place.entry == nullptr ||
           good.parent_of(place) != nullptr;
  });
  return on_spans(places, [](Span& span) { span.parent_span_id.bytes[0] ^= 0xFF; });
}

std::vector<Mutant> no_parent(const Good& good) {
  std::vector<GoodSpan> places = good.places(true);
  std::erase_if(places, [&](const GoodSpan& place) {
    const auto& topology = place.profile->topology;
    return !topology || topology->parent != ParentRule::kClientSpan || place.entry == nullptr;
  });
  return on_spans(places, [](Span& span) { span.parent_span_id = {}; });
}

/// A whole trace under another id: nothing in it is wrong, but nobody sent it.
std::vector<Mutant> other_trace(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places(true)) {
    mutants.push_back({place_text(place), [at = place.at](Evidence& evidence) {
                         const TraceId trace = span_at(evidence, at).trace_id;
                         for (Span* span : trace_of(evidence, trace))
                           span->trace_id.bytes[0] ^= 0xFF;
                       }});
  }
  return mutants;
}

/// One span of a family under another trace id.
std::vector<Mutant> torn_from_family(const Good& good) {
  std::vector<GoodSpan> places = good.places();
  std::erase_if(places, [&](const GoodSpan& place) { return good.parent_of(place) == nullptr; });
  return on_spans(places, [](Span& span) { span.trace_id.bytes[0] ^= 0xFF; });
}

constexpr OperatorRow kRows[] = {
    {"id.no_trace", "a span without a trace id", kAlways, no_trace_id},
    {"id.no_span", "a span without an id", kAlways, no_span_id},
    {"id.reuse", "two different spans of a trace with one id", kAlways, reused},
    {"id.reuse_elsewhere", "spans of two traces with one id", kAlways, reused_elsewhere},
    {"id.reuse_marked", "the same, and the second says that it is a re-delivery", kAlways,
     marked_reused},
    {"copy.unmarked", "a copy that is not marked, where a profile wants marks", kAlways,
     copied_unmarked},
    {"copy.marked_and_unmarked", "the same after one that is marked", kAlways, copied_twice},
    {"id.own_parent", "a span that is its own parent", kAlways, its_own_parent},
    {"id.mutual_parents", "two spans, each the other's parent", kAlways, mutual_parents},
    {"id.orphan", "a parent in this process that was not collected", kAlways, orphaned},
    {"id.foreign_parent", "a remote parent that no client sent", kWithLedger, foreign_parent},
    {"id.no_parent", "a root where the client's span should be the parent", kWithLedger, no_parent},
    {"id.other_trace", "a trace under an id that nobody sent", kWithLedger, other_trace},
    {"id.torn_trace", "a child under another trace id than its parent", kAlways, torn_from_family}};

}  // namespace

OperatorTable identity_operators() { return kRows; }

}  // namespace touchstone::conformance::mutate
