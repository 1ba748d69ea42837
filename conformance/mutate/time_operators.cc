// Times of spans: wrong order, wrong unit, wrong day, shifted, stretched.
#include "base/clock.h"
#include "conformance/mutate/operator.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::Span;

void shift(Span& span, int64_t by_ns) {
  span.start_unix_ns += by_ns;
  span.end_unix_ns += by_ns;
  for (telemetry::Event& event : span.events) event.time_unix_ns += by_ns;
}

std::vector<GoodSpan> long_enough(std::vector<GoodSpan> places) {
  std::erase_if(places, [](const GoodSpan& place) { return place.duration_s() <= 0; });
  return places;
}

std::vector<Mutant> backwards(const Good& good) {
  return on_spans(long_enough(good.places()),
                  [](Span& span) { std::swap(span.start_unix_ns, span.end_unix_ns); });
}

std::vector<Mutant> without(const Good& good) {
  return on_spans(good.places(), [](Span& span) { span.start_unix_ns = span.end_unix_ns = 0; });
}

std::vector<Mutant> unfinished(const Good& good) {
  return on_spans(good.places(), [](Span& span) { span.end_unix_ns = 0; });
}

std::vector<Mutant> in_milliseconds(const Good& good) {
  return on_spans(good.places(), [](Span& span) {
    span.start_unix_ns /= 1'000'000;
    span.end_unix_ns /= 1'000'000;
  });
}

std::vector<Mutant> in_the_future(const Good& good) {
  return on_spans(good.places(), [](Span& span) { shift(span, 400 * 86'400 * kNsPerSecond); });
}

std::vector<Mutant> for_days(const Good& good) {
  std::vector<GoodSpan> places = good.places();
  std::erase_if(places, [](const GoodSpan& place) { return !place.profile->time.max_duration_ns; });
  return on_spans(places, [](Span& span) { span.start_unix_ns -= 2 * 86'400 * kNsPerSecond; });
}

/// Requests whose response the client had whole, with their families: alone of all they are off.
std::vector<Mutant> shifted(const Good& good, int64_t by_ns) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places(true)) {
    if (place.entry == nullptr || place.entry->outcome != records::ClientOutcome::kCompleted) {
      continue;
    }
    mutants.push_back({place_text(place), [at = place.at, by_ns](Evidence& evidence) {
                         const Span root = span_at(evidence, at);
                         for (Span* span : family_of(evidence, root)) shift(*span, by_ns);
                       }});
  }
  return mutants;
}
std::vector<Mutant> an_hour_early(const Good& good) { return shifted(good, -3600 * kNsPerSecond); }
std::vector<Mutant> an_hour_late(const Good& good) { return shifted(good, 3600 * kNsPerSecond); }
std::vector<Mutant> half_a_second_early(const Good& good) {
  return shifted(good, -kNsPerSecond / 2);
}
std::vector<Mutant> half_a_second_late(const Good& good) { return shifted(good, kNsPerSecond / 2); }
std::vector<Mutant> ten_ms_late(const Good& good) { return shifted(good, 10 * kNsPerMs); }

bool bounds_duration(const GoodSpan& place) {
  for (const Relation& relation : place.type->relations) {
    if (relation.text.starts_with("duration <= ")) return true;
    if (relation.text.starts_with("duration == ")) return true;
  }
  return false;
}

std::vector<Mutant> stretched(const Good& good) {
  std::vector<GoodSpan> places = good.places(true);
  std::erase_if(places, [](const GoodSpan& place) { return !bounds_duration(place); });
  return on_spans(places, [](Span& span) { span.end_unix_ns += kNsPerSecond / 2; });
}

std::vector<Mutant> cut_short(const Good& good) {
  constexpr double kSlackS = 0.006;  // a latency may exceed its span by reading two clocks
  std::vector<GoodSpan> places = good.places(true);
  std::erase_if(
      places, [](const GoodSpan& place) { return place.number("e2e").value_or(0) < 2 * kSlackS; });
  return on_spans(places, [](Span& span) {
    span.end_unix_ns = span.start_unix_ns + (span.end_unix_ns - span.start_unix_ns) / 8;
  });
}

constexpr OperatorRow kRows[] = {
    {"time.backwards", "a span ends before it starts", kAlways, backwards},
    {"time.zero", "a span without times", kAlways, without},
    {"time.unfinished", "a span without an end", kAlways, unfinished},
    {"time.milliseconds", "times in milliseconds for nanoseconds", kAlways, in_milliseconds},
    {"time.future", "a span of next year", kAlways, in_the_future},
    {"time.days", "a span that began two days before", kAlways, for_days},
    {"time.hour_early", "a request an hour before all others' clock", kWithLedger, an_hour_early},
    {"time.hour_late", "a request an hour after all others' clock", kWithLedger, an_hour_late},
    {"time.half_second_early", "a request half a second early", kWithLedger, half_a_second_early},
    {"time.half_second_late", "a request half a second late", kWithLedger, half_a_second_late},
    {"time.ten_ms_late", "a request 10 ms late", kNever, ten_ms_late},
    {"time.stretch", "a span ends half a second late", kAlways, stretched},
    {"time.cut", "a span ends before its latencies do", kAlways, cut_short}};

}  // namespace

OperatorTable time_operators() { return kRows; }

}  // namespace touchstone::conformance::mutate
