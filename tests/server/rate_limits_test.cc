#include "reference_engine/server/rate_limits.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/files.h"

namespace touchstone::server {
namespace {

constexpr int64_t kMinuteNs = 60 * kNsPerSecond;

TEST(RateLimits, LetInAMinutesWorthAtOnceAndThenAsFastAsItRefills) {
  RateLimits limits(RateLimit{.requests_per_minute = 3, .tokens_per_minute = {}}, {});
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(limits.take("a", 10, 0));
  const auto refused = limits.take("a", 10, 0);
  ASSERT_TRUE(refused);
  EXPECT_STREQ(refused->limit, "requests");
  EXPECT_EQ(refused->wait_ns, 20 * kNsPerSecond);
  EXPECT_FALSE(limits.take("b", 10, 0)) << "another tenant's";
  EXPECT_EQ(limits.take("a", 10, 20 * kNsPerSecond - 1)->wait_ns, 1);
  EXPECT_FALSE(limits.take("a", 10, 20 * kNsPerSecond));
  EXPECT_TRUE(limits.take("a", 10, 20 * kNsPerSecond));
  for (int i = 0; i < 3; ++i)
    EXPECT_FALSE(limits.take("a", 10, 10 * kMinuteNs)) << "full, not more";
  EXPECT_TRUE(limits.take("a", 10, 10 * kMinuteNs));
}

TEST(RateLimits, TokensAreCountedBesideRequestsAndNothingIsTakenWhenOneIsShort) {
  RateLimits limits(std::nullopt,
                    {{"a", RateLimit{.requests_per_minute = 2, .tokens_per_minute = 100}}});
  EXPECT_FALSE(limits.take("a", 60, 0));
  for (int i = 0; i < 5; ++i) {
    const auto refused = limits.take("a", 60, 0);
    ASSERT_TRUE(refused);
    EXPECT_STREQ(refused->limit, "tokens");
    EXPECT_EQ(refused->wait_ns, 12 * kNsPerSecond);
  }
  EXPECT_FALSE(limits.take("a", 40, 0)) << "the refused ones took no request";
  EXPECT_FALSE(limits.take("stranger", 1'000'000, 0)) << "no limit is his";
}

TEST(RateLimits, MoreThanABucketHoldsIsLetInWhenItIsFullAndOwed) {
  RateLimits limits(RateLimit{.requests_per_minute = {}, .tokens_per_minute = 100}, {});
  EXPECT_FALSE(limits.take("a", 300, 0));
  EXPECT_EQ(limits.take("a", 1, 0)->wait_ns, (200 + 1) * kMinuteNs / 100);
  EXPECT_TRUE(limits.take("a", 300, 2 * kMinuteNs));
  EXPECT_FALSE(limits.take("a", 300, 3 * kMinuteNs));
}

TEST(RateLimits, InventedTenantsShareBucketsBeyondTheLimit) {
  RateLimits limits(RateLimit{.requests_per_minute = 1, .tokens_per_minute = {}}, {});
  for (size_t i = 0; i < RateLimits::kTenantsMax; ++i) {
    EXPECT_FALSE(limits.take("t" + std::to_string(i), 1, 0));
  }
  EXPECT_FALSE(limits.take("x", 1, 0));
  EXPECT_TRUE(limits.take("y", 1, 0));
}

TEST(RateLimits, ABadFileIsRefusedWithItsPlace) {
  const auto folder = TemporaryDirectory::make("limits");
  ASSERT_TRUE(folder);
  const std::string path = folder->path() + "/limits.yaml";
  for (const char* text :
       {"default: {}\n", "default: {requests_per_minute: 0}\n", "tenants: {a: {requests: 3}}\n",
        "default: {tokens_per_minute: many}\n", "defaults: {tokens_per_minute: 3}\n"}) {
    ASSERT_TRUE(write_file_atomic(path, text));
    const auto limits = RateLimits::read(path);
    ASSERT_FALSE(limits) << text;
    EXPECT_EQ(limits.error().code, ErrorCode::kInvalidArgument) << text;
    EXPECT_NE(limits.error().message.find("limits.yaml:1"), std::string::npos)
        << limits.error().message;
  }
  EXPECT_FALSE(RateLimits::read(folder->path() + "/none.yaml"));
}

}  // namespace
}  // namespace touchstone::server
