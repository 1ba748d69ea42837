#include "base/text.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>

namespace touchstone {
namespace {

TEST(Text, DurationsNeedAUnit) {
  const std::vector<std::pair<std::string, int64_t>> good = {{"0s", 0},
                                                             {"80ns", 80},
                                                             {"100us", 100'000},
                                                             {"250ms", 250'000'000},
                                                             {"1.5s", 1'500'000'000},
                                                             {"5m", 300'000'000'000},
                                                             {"2h", 7'200'000'000'000},
                                                             {"3µs", 3'000}};
  for (const auto& [text, ns] : good) {
    const auto parsed = parse_duration_ns(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, ns) << text;
  }
  for (const std::string text : {"", "s", "5", "-1s", "1 s", "nans", "1e300h", "3x", "5mm"}) {
    const auto parsed = parse_duration_ns(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().message.find("expected a duration"), std::string::npos) << text;
  }
}

TEST(Text, NumbersAreReadWholeOrNotAtAll) {
  EXPECT_EQ(parse_int("-12"), -12);
  EXPECT_EQ(parse_double("1e3"), 1000.0);
  for (const std::string text : {"", "12x", " 1", "1 ", "0x1", "9999999999999999999"}) {
    EXPECT_EQ(parse_int(text), std::nullopt) << text;
  }
  for (const std::string text : {"", "nan", "inf", "1,5", "1e999"}) {
    EXPECT_EQ(parse_double(text), std::nullopt) << text;
  }
}

TEST(Text, FormatsForPeople) {
  EXPECT_EQ(format_duration(999), "999 ns");
  EXPECT_EQ(format_duration(1'500), "1.5 µs");
  EXPECT_EQ(format_duration(2'500'000), "2.5 ms");
  EXPECT_EQ(format_duration(1'234'567'890), "1.235 s");
  EXPECT_EQ(format_duration(1'200'000'000'000), "20 min");
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(-1'234'567), "-1,234,567");
  EXPECT_EQ(format_utc(1'795'254'032'748'998'144), "2026-11-21T09:40:32.748Z");
  EXPECT_EQ(format_fixed(1.005, 1), "1.0");
  EXPECT_EQ(quote("a\"b\n"), "\"a\\\"b\\x0a\"");
  EXPECT_EQ(quote(std::string(70, 'x')), "\"" + std::string(60, 'x') + "…\"");
}

TEST(Text, SplitsTrimsAndGuesses) {
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(split("", ','), (std::vector<std::string>{""}));
  EXPECT_EQ(trim(" \t x y\r\n"), "x y");
  EXPECT_EQ(join({"a", "b"}, ", "), "a, b");
  EXPECT_TRUE(starts_with_ignoring_case("Bearer x", "bearer "));
  EXPECT_EQ(nearest("requets", {"requests", "rate"}), "requests");
  EXPECT_EQ(nearest("zzzzzz", {"requests", "rate"}), std::nullopt);
}

TEST(Text, Utf8IsCheckedAsUnicodeHasIt) {
  for (const std::string good : {"", "plain", "é", "€", "😀", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_valid_utf8(good)) << good;
  }
  for (const std::string bad :
       {"\x80", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "a\xc3"}) {
    EXPECT_FALSE(is_valid_utf8(bad)) << quote(bad);
  }
}

RC_GTEST_PROP(TextProperty, DoublesReadBackAsTheyWere, (double value)) {
  RC_PRE(std::isfinite(value));
  RC_ASSERT(parse_double(format_double(value)) == value);
}

}  // namespace
}  // namespace touchstone
