// The offset between two hosts' clocks, from what a ledger and spans leave open.
#include "conformance/clock_offset.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "tests/conformance/recorded.h"

namespace touchstone::conformance {
namespace {

constexpr int64_t kSlack = 100 * kNsPerMs;

/// Every span of the recording, `by_ns` later.
std::map<std::string, ClockOffset> offsets_of(const Evidence& evidence, int64_t by_ns) {
  static const Profile kProfile = vllm_v1();
  Matching matching(*evidence.ledger, kProfile);
  for (const telemetry::ResourceSpans& group : evidence.spans[0]) {
    for (const telemetry::ScopeSpans& scoped : group.scope_spans) {
      for (telemetry::Span span : scoped.spans) {
        span.start_unix_ns += by_ns;
        span.end_unix_ns += by_ns;
        matching.add(span, std::nullopt);
      }
    }
  }
  return clock_offsets(matching, kSlack);
}

TEST(ClockOffset, OfOneHostHoldsZeroAndIsAFewMilliseconds) {
  const auto offsets = offsets_of(recorded_evidence(), 0);
  ASSERT_EQ(offsets.size(), 1u);
  const ClockOffset& offset = offsets.at("");
  EXPECT_LE(offset.least_ns, 0);
  EXPECT_GE(offset.most_ns, 0);
  EXPECT_LT(offset.most_ns - offset.least_ns, 20 * kNsPerMs);
  EXPECT_GT(offset.requests, 50);
}

TEST(ClockOffset, MovesWithTheServersClock) {
  const Evidence evidence = recorded_evidence();
  const ClockOffset still = offsets_of(evidence, 0).at("");
  for (const int64_t by_ns : {2 * kNsPerSecond, -3600 * kNsPerSecond}) {
    const ClockOffset moved = offsets_of(evidence, by_ns).at("");
    EXPECT_EQ(moved.least_ns, still.least_ns + by_ns);
    EXPECT_EQ(moved.most_ns, still.most_ns + by_ns);
    EXPECT_EQ(moved.requests, still.requests);
  }
}

TEST(ClockOffset, SaysHowFarOneRequestIsOutside) {
  const ClockOffset offset{.least_ns = -kNsPerMs, .most_ns = kNsPerMs, .requests = 9};
  RequestMatch request;
  request.offset_least_ns = -5 * kNsPerMs;
  request.offset_most_ns = 5 * kNsPerMs;
  EXPECT_EQ(offset.outside_ns(request), 0);
  request.offset_most_ns = -4 * kNsPerMs;
  EXPECT_EQ(offset.outside_ns(request), -3 * kNsPerMs) << "it starts before it was sent";
  request.offset_least_ns = 6 * kNsPerMs;
  request.offset_most_ns = 9 * kNsPerMs;
  EXPECT_EQ(offset.outside_ns(request), 5 * kNsPerMs) << "it ends after the response";
  EXPECT_EQ(to_string(offset), "-1 ms to 1 ms, by 9 requests");
}

}  // namespace
}  // namespace touchstone::conformance
