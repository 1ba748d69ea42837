// Clocks of two hosts differ, networks are slow, requests are long.
#include "base/clock.h"
#include "conformance/mutate/variant.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::Span;

template <typename Dress>
void each_time(Evidence& evidence, const Dress& dress) {
  for (telemetry::TraceBatch& batch : evidence.spans) {
    for (telemetry::ResourceSpans& group : batch) {
      for (telemetry::ScopeSpans& scoped : group.scope_spans) {
        for (Span& span : scoped.spans) {
          dress(span.start_unix_ns);
          dress(span.end_unix_ns);
          for (telemetry::Event& event : span.events) dress(event.time_unix_ns);
        }
      }
    }
  }
}

bool server_off(Evidence& evidence, int64_t by_ns) {
  each_time(evidence, [&](int64_t& time) { time += by_ns; });
  return true;
}
bool two_seconds_fast(const Good&, Evidence& evidence) {
  return server_off(evidence, 2 * kNsPerSecond);
}
bool two_seconds_slow(const Good&, Evidence& evidence) {
  return server_off(evidence, -2 * kNsPerSecond);
}
bool an_hour_slow(const Good&, Evidence& evidence) {
  return server_off(evidence, -3600 * kNsPerSecond);
}
bool an_hour_fast(const Good&, Evidence& evidence) {
  evidence.now_unix_ns += 3600 * kNsPerSecond;  // it is judged later
  return server_off(evidence, 3600 * kNsPerSecond);
}

/// The whole run, clients and all, a year before.
bool a_year_ago(const Good&, Evidence& evidence) {
  const int64_t by_ns = -365 * 86'400 * kNsPerSecond;
  for (records::LedgerEntry& entry : *evidence.ledger) entry.sent_unix_ns += by_ns;
  return server_off(evidence, by_ns);
}

bool slow_network(const Good&, Evidence& evidence) {
  for (records::LedgerEntry& entry : *evidence.ledger) {
    entry.sent_unix_ns -= 3 * kNsPerSecond;
    entry.done_ns += entry.done_ns > 0 ? 6 * kNsPerSecond : 0;
    if (entry.first_chunk_ns) *entry.first_chunk_ns += 4 * kNsPerSecond;
    for (int64_t& offset : entry.chunk_offsets_ns) offset += 4 * kNsPerSecond;
  }
  return true;
}

/// Clocks drift by 50 ppm: 5 ms over a hundred seconds. What one request takes stays as it is.
bool drifting(const Good& good, Evidence& evidence) {
  const int64_t start = good.spans().front().span->start_unix_ns;
  for (const GoodSpan& request : good.spans()) {
    if (request.type == nullptr || !request.type->is_request) continue;
    const int64_t by_ns = (request.span->start_unix_ns - start) / 20'000;
    for (Span* span : family_of(evidence, *request.span)) {
      span->start_unix_ns += by_ns;
      span->end_unix_ns += by_ns;
      for (telemetry::Event& event : span->events) event.time_unix_ns += by_ns;
    }
  }
  return true;
}

/// The last output was handled 20 ms late.
bool handled_late(const Good& good, Evidence& evidence) {
  for (const GoodSpan& request : good.lone_requests()) {
    const bool has_children = family_of(evidence, *request.span).size() > 1;
    if (has_children) return false;  // theirs would be another story
    span_at(evidence, request.at).end_unix_ns += 20 * kNsPerMs;
    if (!evidence.ledger) continue;
    for (records::LedgerEntry& entry : *evidence.ledger) {
      if (entry.trace_id == request.span->trace_id) entry.done_ns += 20 * kNsPerMs;
    }
  }
  return true;
}

/// A request that decodes for 70 minutes.
bool long_request(const Good& good, Evidence& evidence) {
  const std::vector<GoodSpan> lone = good.lone_requests();
  if (lone.empty()) return false;
  const GoodSpan& request = lone.back();
  Span& span = span_at(evidence, request.at);
  if (family_of(evidence, *request.span).size() > 1) return false;
  constexpr double kMoreS = 70 * 60;
  constexpr auto kMoreNs = static_cast<int64_t>(kMoreS) * kNsPerSecond;
  for (const std::string word : {"e2e", "decode", "inference"}) {
    telemetry::Value* value = value_of(span, request.profile->key_of(word));
    if (value != nullptr) *value = *value->number() + kMoreS;
  }
  span.end_unix_ns += kMoreNs;
  evidence.now_unix_ns += kMoreNs;
  if (!evidence.ledger) return true;
  for (records::LedgerEntry& entry : *evidence.ledger) {
    if (entry.trace_id == request.span->trace_id) entry.done_ns += kMoreNs;
  }
  return true;
}

constexpr VariantRow kRows[] = {
    {"clock.fast", "the server's clock 2 s ahead", two_seconds_fast},
    {"clock.slow", "the server's clock 2 s behind", two_seconds_slow},
    {"clock.hour_slow", "the server's clock an hour behind", an_hour_slow},
    {"clock.hour_fast", "the server's clock an hour ahead", an_hour_fast},
    {"clock.drift", "clocks that drift by 50 ppm", drifting},
    {"clock.year", "a run of last year", a_year_ago, kWithLedger},
    {"clock.network", "a network that takes 3 s", slow_network, kWithLedger},
    {"clock.handled_late", "last outputs handled 20 ms late", handled_late},
    {"clock.long_request", "a request of 70 minutes", long_request, Mode::kSpans | Mode::kLedger}};

}  // namespace

VariantTable clock_variants() { return kRows; }

}  // namespace touchstone::conformance::mutate
