#include "base/ids.h"

#include <gtest/gtest.h>

namespace touchstone {
namespace {

TEST(Ids, HexBothWays) {
  const auto id = TraceId::parse("656abd72fb710734986e86CB0AB8AB67");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->hex(), "656abd72fb710734986e86cb0ab8ab67");
  EXPECT_TRUE(id->is_valid());
  EXPECT_FALSE(SpanId{}.is_valid());
}

TEST(Ids, AnythingElseIsRefused) {
  for (const std::string text :
       {"", "00", "0ff69eeafe88345", "0ff69eeafe88345dd", "0ff69eeafe88345g", " ff69eeafe88345d"}) {
    EXPECT_FALSE(SpanId::parse(text)) << text;
  }
}

}  // namespace
}  // namespace touchstone
