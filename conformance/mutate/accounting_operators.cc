// Spans lost, copied and invented; requests that went wrong; ledgers that contradict themselves.
#include <algorithm>

#include "conformance/mutate/operator.h"

namespace touchstone::conformance::mutate {
namespace {

using records::ClientOutcome;
using records::LedgerEntry;
using telemetry::Span;

bool accounts(const GoodSpan& place) { return place.profile->accounting.has_value(); }

/// Request spans of completed, sampled requests; a few of them.
std::vector<GoodSpan> completed(const Good& good) {
  std::vector<GoodSpan> places = good.places(true);
  std::erase_if(places, [](const GoodSpan& place) {
    return !accounts(place) || place.entry == nullptr || !place.entry->sampled ||
           place.entry->outcome != ClientOutcome::kCompleted;
  });
  return places;
}

/// Two spans of one request, alike in what they count.
struct Pair {
  GoodSpan first;
  GoodSpan second;
};
std::vector<Pair> pairs(const Good& good) {
  std::vector<Pair> pairs;
  for (const GoodSpan& first : good.spans()) {
    for (const GoodSpan& second : good.spans()) {
      const bool same = first.entry != nullptr && first.entry == second.entry;
      if (!same || first.span >= second.span || !accounts(first)) continue;
      if (first.type == second.type) pairs.push_back({first, second});
    }
  }
  if (good.depth() == Depth::kSampled && !pairs.empty()) pairs.resize(1);
  return pairs;
}

void lose_family(Evidence& evidence, const SpanAt& at) {
  std::vector<SpanId> ids;
  const Span root = span_at(evidence, at);
  for (const Span* span : family_of(evidence, root)) ids.push_back(span->span_id);
  remove_spans(evidence, ids);
}

template <typename Damage>
std::vector<Mutant> on_places(const std::vector<GoodSpan>& places, const Damage& damage) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : places) {
    mutants.push_back(
        {place_text(place), [at = place.at, damage](Evidence& evidence) { damage(evidence, at); }});
  }
  return mutants;
}

std::vector<Mutant> lost(const Good& good) { return on_places(completed(good), lose_family); }

std::vector<Mutant> lost_tenth(const Good& good) {
  std::vector<SpanId> ids;
  for (size_t i = 0; i < good.spans().size(); i += 10) {
    const GoodSpan& span = good.spans()[i];
    const bool owed = span.entry != nullptr && span.entry->outcome == ClientOutcome::kCompleted;
    if (owed && accounts(span)) ids.push_back(span.span->span_id);
  }
  if (ids.empty()) return {};
  return {{"every tenth", [ids](Evidence& evidence) { remove_spans(evidence, ids); }}};
}

std::vector<Mutant> lost_batch(const Good& good) {
  if (completed(good).empty() || good.evidence().spans.size() < 2) return {};
  return {{"the last", [](Evidence& evidence) { evidence.spans.pop_back(); }}};
}

std::vector<Mutant> lost_all(const Good&) {
  return {{"all", [](Evidence& evidence) { evidence.spans.clear(); }}};
}

std::vector<Mutant> lost_all_requests(const Good& good) {
  std::vector<SpanId> ids;
  for (const GoodSpan& span : good.spans()) {
    if (span.type != nullptr && span.type->is_request) ids.push_back(span.span->span_id);
  }
  return {{"all", [ids](Evidence& evidence) {
             remove_spans(evidence, ids);
             Span other;
             other.trace_id.bytes[0] = other.span_id.bytes[0] = 1;
             other.name = "GET /health";
             evidence.spans.back().back().scope_spans.push_back({{"other", "", {}}, "", {other}});
           }}};
}

std::vector<Mutant> lost_choice(const Good& good) {
  std::vector<GoodSpan> places;
  for (const Pair& pair : pairs(good)) places.push_back(pair.second);
  return on_places(places, lose_family);
}

/// One of two choices is gone, the other is there twice, under ids of its own.
std::vector<Mutant> copied_for_lost_choice(const Good& good) {
  std::vector<Mutant> mutants;
  for (const Pair& pair : pairs(good)) {
    mutants.push_back({place_text(pair.second),
                       [kept = pair.first.at, gone = pair.second.at](Evidence& evidence) {
                         std::vector<SpanId> ids;
                         for (const Span* span : family_of(evidence, span_at(evidence, gone))) {
                           ids.push_back(span->span_id);
                         }
                         copy_family(evidence, kept);
                         remove_spans(evidence, ids);
                       }});
  }
  return mutants;
}

/// `counted`: where the metrics tell how many requests there were, or else where they do not.
template <typename Damage>
std::vector<Mutant> on_completed(const Good& good, bool counted, const Damage& damage) {
  if (good.counts_requests() != counted) return {};
  return on_places(completed(good), damage);
}

std::vector<Mutant> copied_where(const Good& good, bool counted) {
  return on_completed(good, counted,
                      [](Evidence& evidence, const SpanAt& at) { copy_family(evidence, at); });
}
std::vector<Mutant> copied(const Good& good) { return copied_where(good, true); }
std::vector<Mutant> copied_uncounted(const Good& good) { return copied_where(good, false); }

std::vector<Mutant> copied_later_where(const Good& good, bool counted) {
  return on_completed(good, counted, [](Evidence& evidence, const SpanAt& at) {
    Span& copy = copy_family(evidence, at);
    const Span root = copy;
    for (Span* span : family_of(evidence, root)) {
      span->start_unix_ns += 1000;
      span->end_unix_ns += 1000;
      for (telemetry::Event& event : span->events) event.time_unix_ns += 1000;
    }
  });
}

std::vector<Mutant> copied_later(const Good& good) { return copied_later_where(good, true); }
std::vector<Mutant> copied_later_uncounted(const Good& good) {
  return copied_later_where(good, false);
}

std::vector<Mutant> invented_where(const Good& good, bool counted) {
  std::vector<Mutant> mutants;
  if (good.counts_requests() != counted) return mutants;
  for (const GoodSpan& place : completed(good)) {
    mutants.push_back({place_text(place), [at = place.at, key = place.profile->key_of(
                                                              "request_id")](Evidence& evidence) {
                         const Span root = copy_family(evidence, at);
                         for (Span* span : family_of(evidence, root)) {
                           span->trace_id.bytes[0] ^= 0xFF;
                           if (telemetry::Value* id = value_of(*span, key)) {
                             *id = "cmpl-0123456789abcdef-0";
                           }
                         }
                       }});
  }
  return mutants;
}

std::vector<Mutant> invented(const Good& good) { return invented_where(good, true); }
std::vector<Mutant> invented_uncounted(const Good& good) { return invented_where(good, false); }

/// Damages the ledger's entry of each place.
template <typename Damage>
std::vector<Mutant> on_entries(const std::vector<GoodSpan>& places, const Damage& damage) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : places) {
    mutants.push_back({"request " + std::to_string(place.entry->index),
                       [index = place.entry->index, damage](Evidence& evidence) {
                         if (!evidence.ledger) return;
                         for (LedgerEntry& entry : *evidence.ledger) {
                           if (entry.index == index) damage(entry);
                         }
                       }});
  }
  return mutants;
}

std::vector<Mutant> failed(const Good& good) {
  return on_entries(completed(good), [](LedgerEntry& entry) {
    entry.status = 500;
    entry.outcome = ClientOutcome::kFailed;
  });
}
std::vector<Mutant> refused(const Good& good) {
  return on_entries(completed(good), [](LedgerEntry& entry) {
    entry.status = 429;
    entry.outcome = ClientOutcome::kRefused;
  });
}
std::vector<Mutant> broken_off(const Good& good) {
  return on_entries(completed(good), [](LedgerEntry& entry) {
    entry.outcome = ClientOutcome::kFailed;
    entry.error = "stream ended without [DONE]";
  });
}
std::vector<Mutant> unsampled(const Good& good) {
  return on_entries(completed(good), [](LedgerEntry& entry) { entry.sampled = false; });
}
std::vector<Mutant> more_choices(const Good& good) {
  std::vector<GoodSpan> places = completed(good);
  std::erase_if(places, [](const GoodSpan& place) {
    return place.profile->accounting->per != Accounting::Per::kChoice;
  });
  return on_entries(places, [](LedgerEntry& entry) { ++entry.choices; });
}

std::vector<Mutant> forgotten(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : completed(good)) {
    mutants.push_back({"request " + std::to_string(place.entry->index),
                       [index = place.entry->index](Evidence& evidence) {
                         std::erase_if(*evidence.ledger, [&](const LedgerEntry& entry) {
                           return entry.index == index;
                         });
                       }});
  }
  return mutants;
}

std::vector<Mutant> shared_context(const Good& good) {
  if (!good.evidence().ledger || completed(good).empty()) return {};
  return {{"the first",
           [](Evidence& evidence) { evidence.ledger->push_back(evidence.ledger->front()); }}};
}

std::vector<Mutant> slower_than_client(const Good& good) {
  // The client had everything after a fraction of what the span says that it took.
  std::vector<GoodSpan> places = completed(good);
  std::erase_if(places, [](const GoodSpan& place) {
    return place.entry->done_ns <= 0 || place.number("e2e").value_or(0) < 0.006;
  });
  return on_entries(places, [](LedgerEntry& entry) {
    entry.done_ns = 1;
    if (entry.first_chunk_ns) entry.first_chunk_ns = 1;
  });
}

constexpr OperatorRow kRows[] = {
    {"lose.request", "the span of a request is lost", kWithLedger, lost},
    {"lose.tenth", "every tenth span is lost", kWithLedger, lost_tenth},
    {"lose.batch", "a whole batch is lost", kWithLedger, lost_batch},
    {"lose.all", "all spans are lost", kAlways, lost_all},
    {"lose.all_requests", "all request spans are lost, others are there", kAlways,
     lost_all_requests},
    {"lose.choice", "one of two choices is lost", kWithLedger, lost_choice},
    {"copy.for_lost_choice", "one of two choices is lost, the other there twice", kWithLedger,
     copied_for_lost_choice},
    {"copy.request", "a request's spans are there twice, under other ids", kWithEither, copied},
    {"copy.later", "the same, a microsecond later", kWithEither, copied_later},
    {"invent.request", "the spans of a request that nobody sent", kWithEither, invented},
    {"copy.request_uncounted", "a request's spans twice, and no metric counts requests",
     kWithLedger, copied_uncounted},
    {"copy.later_uncounted", "the same, a microsecond later", kWithLedger, copied_later_uncounted},
    {"invent.request_uncounted", "a request that nobody sent, and no metric counts requests",
     kWithLedger, invented_uncounted},
    {"outcome.failed", "a request was answered with 500", kWithLedger, failed, kWithLedger},
    {"outcome.refused", "a request was answered with 429", kWithLedger, refused, kWithLedger},
    {"outcome.broken_off", "a stream broke off", kWithLedger, broken_off, kWithLedger},
    {"outcome.unsampled", "a request that was not to be recorded is", kWithLedger, unsampled,
     kWithLedger},
    {"outcome.choices", "a request asked for more choices than were recorded", kWithLedger,
     more_choices, kWithLedger},
    {"outcome.unsent", "spans of a request that the ledger does not know", kWithLedger, forgotten,
     kWithLedger},
    {"outcome.shared_context", "two requests were sent with one trace context", kWithLedger,
     shared_context, kWithLedger},
    {"outcome.impossible", "a span longer than its client waited", kWithLedger, slower_than_client,
     kWithLedger}};

}  // namespace

OperatorTable accounting_operators() { return kRows; }

}  // namespace touchstone::conformance::mutate
