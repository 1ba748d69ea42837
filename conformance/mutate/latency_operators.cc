// Latencies: wrong unit, longer than their span, swapped, invented.
#include <algorithm>
#include <cmath>

#include "conformance/mutate/operator.h"
#include "conformance/profile/unit.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::Span;

// A latency may exceed its span by what reading two clocks costs; a span may exceed its e2e by what
// handling its last output takes.
constexpr double kWithinSpanS = 0.006;
constexpr double kBeyondE2eS = 0.11;

struct Latency {
  GoodSpan place;
  const AttributeRule* rule;
  double value;  ///< s
};

std::vector<Latency> latencies_of(const GoodSpan& place) {
  std::vector<Latency> latencies;
  for (const AttributeRule& rule : place.type->attributes) {
    const auto value = place.number(rule.key);
    if (is_time_unit(rule.unit) && value) latencies.push_back({place, &rule, *value});
  }
  return latencies;
}

/// A mutant of each latency for which `wrong(latency)` gives another value, in s.
template <typename Wrong>
std::vector<Mutant> on_latencies(const Good& good, const Wrong& wrong) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places()) {
    for (const Latency& latency : latencies_of(place)) {
      const std::optional<double> value = wrong(latency);
      if (!value) continue;
      const std::string& key = latency.rule->key;
      mutants.push_back({key + " of " + place_text(place),
                         [at = place.at, key, raw = *value / to_base_unit(latency.rule->unit)](
                             Evidence& evidence) { *value_of(span_at(evidence, at), key) = raw; },
                         latency.rule->level});
    }
  }
  return mutants;
}

/// Comparable with its histogram: of a request that ended well.
const Reconciliation* histogram_of(const Good& good, const Latency& latency) {
  if (!latency.place.type->is_request) return nullptr;
  if (latency.place.span->status == telemetry::StatusCode::kError) return nullptr;
  const Reconciliation* rule = good.histogram_of(latency.rule->key);
  return rule != nullptr && good.is_tight(*rule) ? rule : nullptr;
}

std::vector<Mutant> beyond_span(const Good& good) {
  return on_latencies(good, [](const Latency& latency) -> std::optional<double> {
    return latency.place.duration_s() + 2 * kWithinSpanS;
  });
}

std::vector<Mutant> in_milliseconds(const Good& good) {
  return on_latencies(good, [](const Latency& latency) -> std::optional<double> {
    if (latency.value * 1000 <= latency.place.duration_s() + kWithinSpanS) return std::nullopt;
    return latency.value * 1000;
  });
}

std::vector<Mutant> small_in_milliseconds(const Good& good) {
  return on_latencies(good, [&](const Latency& latency) -> std::optional<double> {
    const bool shows = latency.value * 1000 > latency.place.duration_s() + kWithinSpanS;
    if (shows || latency.value < 1e-6 || histogram_of(good, latency) == nullptr) {
      return std::nullopt;
    }
    return latency.value * 1000;
  });
}

/// What a histogram's sum lets pass: its relative tolerance, and rounding.
double noticed(const Good& good, const Reconciliation& rule) {
  double sum = 0;
  for (const GoodSpan& span : good.spans()) sum += span.number(rule.name).value_or(0);
  return 2 * (sum * rule.tolerance + 2e-6);
}

std::vector<Mutant> raised(const Good& good) {
  return on_latencies(good, [&](const Latency& latency) -> std::optional<double> {
    const Reconciliation* rule = histogram_of(good, latency);
    if (rule == nullptr) return std::nullopt;
    return latency.value + std::max(latency.value / 100, noticed(good, *rule));
  });
}

std::vector<Mutant> lowered(const Good& good) {
  return on_latencies(good, [&](const Latency& latency) -> std::optional<double> {
    const Reconciliation* rule = histogram_of(good, latency);
    if (rule == nullptr || !good.is_exact(*rule)) return std::nullopt;
    if (latency.value < 2 * noticed(good, *rule)) return std::nullopt;
    return latency.value / 2;
  });
}

std::vector<Mutant> unreconciled(const Good& good) {
  return on_latencies(good, [&](const Latency& latency) -> std::optional<double> {
    if (!latency.place.type->is_request || histogram_of(good, latency) != nullptr) {
      return std::nullopt;
    }
    return latency.value * 1.01;
  });
}

/// e2e is the longest of all: whatever stands in its place contradicts the others.
std::vector<Mutant> swapped_with_e2e(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places(true)) {
    const std::string& e2e = place.profile->key_of("e2e");
    const auto whole = place.number("e2e");
    const auto ttft = place.number("ttft");
    if (!whole || !ttft) continue;
    for (const Latency& latency : latencies_of(place)) {
      if (*ttft - latency.value < 1e-4 && latency.rule->key != place.profile->key_of("ttft")) {
        continue;
      }
      if (*whole - latency.value < 1e-4) continue;
      mutants.push_back({latency.rule->key + " of " + place_text(place),
                         [at = place.at, key = latency.rule->key, e2e](Evidence& evidence) {
                           Span& span = span_at(evidence, at);
                           std::swap(*value_of(span, key), *value_of(span, e2e));
                         }});
    }
  }
  return mutants;
}

/// All latencies of a request a thousandth, as if milliseconds were taken for seconds the other way
/// round; `slow`: of those so long that their span shows it.
std::vector<Mutant> thousandth(const Good& good, bool slow) {
  std::vector<GoodSpan> places;
  for (const GoodSpan& span : good.spans()) {
    if (span.type == nullptr || !span.type->is_request || !span.number("e2e")) continue;
    if (span.span->status == telemetry::StatusCode::kError) continue;
    if ((span.duration_s() > kBeyondE2eS) == slow) places.push_back(span);
  }
  if (good.depth() == Depth::kSampled && !places.empty()) places.resize(1);
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : places) {
    std::vector<std::string> keys;
    for (const Latency& latency : latencies_of(place)) keys.push_back(latency.rule->key);
    mutants.push_back({place_text(place), [at = place.at, keys](Evidence& evidence) {
                         for (const std::string& key : keys) {
                           telemetry::Value& value = *value_of(span_at(evidence, at), key);
                           value = *value.number() / 1000;
                         }
                       }});
  }
  return mutants;
}
std::vector<Mutant> slow_thousandth(const Good& good) { return thousandth(good, true); }
std::vector<Mutant> fast_thousandth(const Good& good) {
  const Reconciliation* rule = nullptr;
  for (const Profile& profile : good.profiles()) {
    if (rule == nullptr) rule = good.histogram_of(profile.key_of("e2e"));
  }
  if (rule == nullptr || !good.is_exact(*rule)) return {};
  return thousandth(good, false);
}

constexpr OperatorRow kRows[] = {
    {"latency.beyond_span", "a latency longer than its span", kAlways, beyond_span},
    {"latency.milliseconds", "a latency in milliseconds for seconds", kAlways, in_milliseconds},
    {"latency.small_milliseconds", "the same of one so small that it fits its span", kWithMetrics,
     small_in_milliseconds},
    {"latency.raise", "a latency raised by a hundredth", kWithMetrics, raised},
    {"latency.lower", "a latency halved", kWithAll, lowered},
    {"latency.unreconciled", "a latency off by a hundredth that no histogram knows", kNever,
     unreconciled},
    {"latency.swap", "e2e and another latency swapped", kAlways, swapped_with_e2e},
    {"latency.thousandth", "all latencies of a slow request a thousandth", kAlways,
     slow_thousandth},
    {"latency.thousandth_fast", "all latencies of a request under 0.11 s a thousandth", kWithAll,
     fast_thousandth}};

}  // namespace

OperatorTable latency_operators() { return kRows; }

}  // namespace touchstone::conformance::mutate
