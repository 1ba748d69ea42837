// What a span says of its request, against what the client sent and got: id, parameters, tokens.
#include "conformance/mutate/operator.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::Span;
using telemetry::Value;

/// Request spans of completed requests that fit, few of them.
template <typename Fits>
std::vector<GoodSpan> answered(const Good& good, const Fits& fits) {
  std::vector<GoodSpan> places;
  for (const GoodSpan& span : good.spans()) {
    if (span.entry == nullptr || !span.entry->sampled) continue;
    if (span.entry->outcome != records::ClientOutcome::kCompleted || !fits(span)) continue;
    places.push_back(span);
  }
  const size_t few = good.depth() == Depth::kSampled ? 1 : 3;
  if (places.size() > few) places.resize(few);
  return places;
}

/// The key behind a word of the place's names; empty when the span has it not.
std::string key_of(const GoodSpan& place, const std::string& word) {
  const std::string& key = place.profile->key_of(word);
  return telemetry::find(place.span->attributes, key) == nullptr ? "" : key;
}

/// A mutant of each answered request whose span has `word`; damage(value).
template <typename Fits, typename Damage>
std::vector<Mutant> on_word(const Good& good, const std::string& word, const Fits& fits,
                            const Damage& damage) {
  const auto has_word = [&](const GoodSpan& place) {
    return !key_of(place, word).empty() && fits(place);
  };
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : answered(good, has_word)) {
    mutants.push_back(
        {place_text(place), [at = place.at, key = key_of(place, word), damage](Evidence& evidence) {
           damage(*value_of(span_at(evidence, at), key));
         }});
  }
  return mutants;
}

bool has_response_id(const GoodSpan& place) { return !place.entry->response_id.empty(); }

std::vector<Mutant> other_id(const Good& good) {
  std::vector<Mutant> mutants;
  const auto fits = [](const GoodSpan& place) {
    return has_response_id(place) && !key_of(place, "request_id").empty();
  };
  const std::vector<GoodSpan> places = answered(good, fits);
  for (const GoodSpan& place : places) {
    const std::string key = key_of(place, "request_id");
    for (const GoodSpan& other : good.spans()) {
      if (other.span->trace_id == place.span->trace_id || other.type != place.type) continue;
      const Value* id = telemetry::find(other.span->attributes, key);
      if (id == nullptr) continue;
      mutants.push_back({place_text(place), [at = place.at, key, id = *id](Evidence& evidence) {
                           *value_of(span_at(evidence, at), key) = id;
                         }});
      break;
    }
  }
  return mutants;
}

std::vector<Mutant> invented_id(const Good& good) {
  return on_word(good, "request_id", has_response_id,
                 [](Value& value) { value = "cmpl-0123456789abcdef-0"; });
}

std::vector<Mutant> cut_id(const Good& good) {
  return on_word(good, "request_id", has_response_id, [](Value& value) {
    const std::string id = *value.string();
    value = id.substr(0, id.find('-') + 5);
  });
}

/// All spans of two requests have each other's trace, and their roots each other's parent.
std::vector<Mutant> swapped(const Good& good) {
  std::vector<GoodSpan> lone = good.lone_requests();
  std::erase_if(lone, [](const GoodSpan& span) {
    return span.entry == nullptr || !has_response_id(span) || key_of(span, "request_id").empty();
  });
  std::vector<Mutant> mutants;
  for (size_t i = 1; i < lone.size() && i < 4; ++i) {
    mutants.push_back(
        {place_text(lone[i]), [a = lone[i - 1].at, b = lone[i].at](Evidence& evidence) {
           const TraceId first = span_at(evidence, a).trace_id;
           const TraceId second = span_at(evidence, b).trace_id;
           const std::vector<Span*> of_first = trace_of(evidence, first);
           for (Span* span : trace_of(evidence, second)) span->trace_id = first;
           for (Span* span : of_first) span->trace_id = second;
           std::swap(span_at(evidence, a).parent_span_id, span_at(evidence, b).parent_span_id);
         }});
  }
  return mutants;
}

std::vector<Mutant> more_max_tokens(const Good& good) {
  return on_word(
      good, "max_tokens",
      [](const GoodSpan& place) { return place.entry->parameters.max_tokens.has_value(); },
      [](Value& value) { value = *value.integer() + 1000; });
}

std::vector<Mutant> fewer_max_tokens(const Good& good) {
  // No fewer than were generated, which the span itself would contradict.
  const auto fits = [](const GoodSpan& place) {
    const auto most = place.number("max_tokens");
    return place.entry->parameters.max_tokens && most &&
           place.number("completion_tokens").value_or(0) < *most;
  };
  auto mutants =
      on_word(good, "max_tokens", fits, [](Value& value) { value = *value.integer() - 1; });
  for (Mutant& mutant : mutants) mutant.level = result::Level::kShould;
  return mutants;
}

bool sent_warm(const GoodSpan& place) {
  return place.entry->parameters.temperature.value_or(0) > 0.1;
}

std::vector<Mutant> other_temperature(const Good& good) {
  return on_word(good, "temperature", sent_warm,
                 [](Value& value) { value = *value.number() + 0.05; });
}

std::vector<Mutant> no_temperature(const Good& good) {
  const auto fits = [](const GoodSpan& place) {
    return sent_warm(place) && !key_of(place, "temperature").empty();
  };
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : answered(good, fits)) {
    mutants.push_back({place_text(place),
                       [at = place.at, key = key_of(place, "temperature")](Evidence& evidence) {
                         std::erase_if(span_at(evidence, at).attributes,
                                       [&](const auto& item) { return item.key == key; });
                       }});
  }
  return mutants;
}

std::vector<Mutant> invented_temperature(const Good& good) {
  const auto fits = [](const GoodSpan& place) {
    return place.entry->parameters.temperature == 0.0 &&
           place.profile->names.contains("temperature");
  };
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : answered(good, fits)) {
    const std::string& key = place.profile->key_of("temperature");
    mutants.push_back({place_text(place), [at = place.at, key](Evidence& evidence) {
                         Span& span = span_at(evidence, at);
                         std::erase_if(span.attributes,
                                       [&](const auto& item) { return item.key == key; });
                         span.attributes.push_back({key, 0.5});
                       }});
  }
  return mutants;
}

std::vector<Mutant> other_top_p(const Good& good) {
  const auto fits = [](const GoodSpan& place) {
    return sent_warm(place) && place.entry->parameters.top_p.value_or(1) < 1;
  };
  return on_word(good, "top_p", fits, [](Value& value) { value = 0.5; });
}

bool has_usage(const GoodSpan& place) { return place.entry->usage.has_value(); }

/// False where the server counted requests that left no span: one token more of a span is then
/// within what it counted.
bool is_counted_tightly(const Good& good, const std::string& word) {
  for (const Profile& profile : good.profiles()) {
    const Reconciliation* rule = good.histogram_of(profile.key_of(word));
    if (rule != nullptr) return good.is_tight(*rule);
  }
  return false;
}

std::vector<Mutant> tokens(const Good& good, const std::string& word, int64_t more) {
  const auto fits = [&](const GoodSpan& place) {
    const double least = more < 0 ? 2 : 0;
    return has_usage(place) && place.number(word).value_or(0) >= least &&
           (word != "completion_tokens" || more < 0 ||
            place.number("completion_tokens").value_or(0) + 1 <=
                place.number("max_tokens").value_or(1e9));
  };
  return on_word(good, word, fits, [more](Value& value) { value = *value.integer() + more; });
}
std::vector<Mutant> more(const Good& good, const std::string& word, bool tightly) {
  if (is_counted_tightly(good, word) != tightly) return {};
  return tokens(good, word, 1);
}
std::vector<Mutant> more_prompt(const Good& good) { return more(good, "prompt_tokens", true); }
std::vector<Mutant> loose_prompt(const Good& good) { return more(good, "prompt_tokens", false); }
std::vector<Mutant> fewer_prompt(const Good& good) { return tokens(good, "prompt_tokens", -1); }
std::vector<Mutant> more_completion(const Good& good) {
  return more(good, "completion_tokens", true);
}
std::vector<Mutant> loose_completion(const Good& good) {
  return more(good, "completion_tokens", false);
}
std::vector<Mutant> fewer_completion(const Good& good) {
  return tokens(good, "completion_tokens", -1);
}

/// One token of one request is another's: no sum over all changes.
std::vector<Mutant> moved_token(const Good& good) {
  const auto fits = [](const GoodSpan& place) {
    return has_usage(place) && place.number("completion_tokens").value_or(0) >= 2;
  };
  const std::vector<GoodSpan> places = answered(good, fits);
  std::vector<Mutant> mutants;
  for (const GoodSpan& from : places) {
    for (const GoodSpan& to : good.spans()) {
      if (to.span->trace_id == from.span->trace_id || to.type != from.type) continue;
      const std::string key = from.profile->key_of("completion_tokens");
      if (telemetry::find(to.span->attributes, key) == nullptr) continue;
      mutants.push_back({place_text(from), [a = from.at, b = to.at, key](Evidence& evidence) {
                           Value& less = *value_of(span_at(evidence, a), key);
                           Value& more = *value_of(span_at(evidence, b), key);
                           less = *less.integer() - 1;
                           more = *more.integer() + 1;
                         }});
      break;
    }
  }
  return mutants;
}

constexpr OperatorRow kRows[] = {
    {"request.other_id", "the id of another request", kWithLedger, other_id},
    {"request.invented_id", "an id that no response had", kWithLedger, invented_id},
    {"request.cut_id", "an id cut short", kWithLedger, cut_id},
    {"request.swap", "two requests have each other's trace", kWithLedger, swapped},
    {"request.more_max_tokens", "a larger max_tokens than was sent", kWithLedger, more_max_tokens},
    {"request.fewer_max_tokens", "a smaller max_tokens than was sent", kWithLedger,
     fewer_max_tokens},
    {"request.temperature", "another temperature than was sent", kWithLedger, other_temperature},
    {"request.no_temperature", "the temperature that was sent is missing", kWithLedger,
     no_temperature},
    {"request.invented_temperature", "a temperature for a greedy request", kWithLedger,
     invented_temperature},
    {"request.top_p", "another top_p than was sent", kWithLedger, other_top_p},
    {"tokens.more_prompt", "a prompt token too many", kWithEither, more_prompt},
    {"tokens.more_prompt_loose", "the same where the server counted requests without a span",
     kWithLedger, loose_prompt},
    {"tokens.fewer_prompt", "a prompt token too few", kWithLedger, fewer_prompt},
    {"tokens.more_completion", "a completion token too many", kWithEither, more_completion},
    {"tokens.more_completion_loose", "the same where the server counted requests without a span",
     kWithLedger, loose_completion},
    {"tokens.fewer_completion", "a completion token too few", kWithLedger, fewer_completion},
    {"tokens.move", "a completion token of one request counted for another", kWithLedger,
     moved_token}};

}  // namespace

OperatorTable request_operators() { return kRows; }

}  // namespace touchstone::conformance::mutate
