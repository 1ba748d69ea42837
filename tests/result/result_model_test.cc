#include "result/result_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace touchstone::result {
namespace {

using Better = Comparison::Better;
using Change = Comparison::Change;

TEST(Comparison, TheDifferenceOrAllOfItsIntervalDecides) {
  const struct {
    Better better;
    double baseline;
    double value;
    std::optional<Interval> interval;
    Change change;
  } rows[] = {
      {Better::kLower, 100, 104, {}, Change::kSame},
      {Better::kLower, 100, 106, {}, Change::kWorse},
      {Better::kLower, 100, 90, {}, Change::kBetter},
      {Better::kHigher, 100, 106, {}, Change::kBetter},
      {Better::kHigher, 100, 90, {}, Change::kWorse},
      {Better::kEqual, 100, 90, {}, Change::kWorse},
      {Better::kEqual, 100, 110, {}, Change::kWorse},
      {Better::kLower, 100, 108, Interval{.low = 0.06, .high = 0.1}, Change::kWorse},
      {Better::kLower, 100, 108, Interval{.low = 0.02, .high = 0.14}, Change::kUnknown},
      {Better::kLower, 100, 101, Interval{.low = -0.04, .high = 0.04}, Change::kSame},
      {Better::kLower, 100, 101, Interval{.low = -0.2, .high = 0.2}, Change::kUnknown},
      {Better::kLower, 0, 1, {}, Change::kUnknown},
      {Better::kLower, std::nan(""), 1, {}, Change::kUnknown},
  };
  for (const auto& row : rows) {
    const Comparison got = compare({.name = "x",
                                    .unit = "s",
                                    .better = row.better,
                                    .baseline = row.baseline,
                                    .value = row.value,
                                    .interval = row.interval},
                                   0.05);
    EXPECT_EQ(to_string(got.change), std::string(to_string(row.change)))
        << row.baseline << " -> " << row.value;
    EXPECT_EQ(got.difference.has_value(), row.baseline > 0);
  }
}

TEST(Place, ReadsAsTheNarrowestThatIsKnown) {
  EXPECT_EQ(to_string(Place{.trace_id = "aa", .span_id = "bb", .request = "7", .input = {}}),
            "aa/bb");
  EXPECT_EQ(to_string(Place{.trace_id = "aa", .span_id = "", .request = "7", .input = {}}), "7");
  EXPECT_EQ(to_string(Place{.trace_id = "aa", .span_id = "", .request = "", .input = {}}), "aa");
  EXPECT_EQ(to_string(Place{.trace_id = "", .span_id = "", .request = "", .input = {"f", 3}}),
            "f:3");
  EXPECT_EQ(to_string(Place()), "");
  EXPECT_EQ(to_string(Location{"f", 0}), "f");
}

}  // namespace
}  // namespace touchstone::result
