#include "telemetry/cost/price_table.h"

#include <gtest/gtest.h>

#include <optional>

#include "base/files.h"
#include "tests/support/paths.h"

namespace touchstone::telemetry {
namespace {

class Prices : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::make("prices");
    ASSERT_TRUE(made);
    folder_.emplace(*std::move(made));
  }
  Result<PriceTable> read(const std::string& text) {
    const std::string path = folder_->path() + "/prices.yaml";
    EXPECT_TRUE(write_file_atomic(path, text));
    return PriceTable::read(path);
  }
  std::optional<TemporaryDirectory> folder_;
};

TEST_F(Prices, TheTutorialsExampleCostsExactlyTwoHundredThousandths) {
  const auto table =
      PriceTable::read(support::source_dir() + "/fixtures/prices/per-thousand-tokens.yaml");
  ASSERT_TRUE(table) << table.error().message;
  const auto cost = cost_of(*table->find("mistral-7b", ""), {120, 0, 40});
  EXPECT_EQ(cost.text(), "0.00002");
  EXPECT_EQ(cost.usd(), 0.00002);
  EXPECT_EQ(cost_of(*table->find("gpt-4o-mini", ""), {1000, 0, 1000}).text(), "0.00075");
  EXPECT_EQ(cost_of(*table->find("anything", ""), {1000, 0, 0}).text(), "0.0002") << "default";
}

TEST(Price, IsExactInItsSmallestStep) {
  struct Row {
    const char* text;
    int64_t per;
    std::optional<int64_t> steps;
  };
  for (const Row& row : {Row{"0.0001", 1'000, 100'000'000},
                         {"0.15", 1'000'000, 150'000'000},
                         {"3", 1'000'000, 3'000'000'000},
                         {"0.10", 1'000, 100'000'000'000},
                         {"0", 1'000, 0},
                         {"0.000000000001", 1'000, 1},
                         {"0.0000000000001", 1'000, std::nullopt},
                         {"1000000", 1'000, 1'000'000'000'000'000'000},
                         {"1000001", 1'000, std::nullopt},
                         {"-1", 1'000, std::nullopt},
                         {"1e-4", 1'000, std::nullopt},
                         {"1.", 1'000, std::nullopt},
                         {".5", 1'000, std::nullopt},
                         {"", 1'000, std::nullopt},
                         {"a", 1'000, std::nullopt}}) {
    EXPECT_EQ(parse_price(row.text, row.per), row.steps) << row.text << " per " << row.per;
  }
}

TEST(Price, RoundsOnceHalfToEven) {
  const int64_t half = 5'000'000;  // steps: half of 10^-8 USD
  EXPECT_EQ(cost_of({half, half, 0}, {1, 0, 0}).e8, 0);
  EXPECT_EQ(cost_of({half, half, 0}, {3, 0, 0}).e8, 2);
  EXPECT_EQ(cost_of({half + 1, half, 0}, {1, 0, 0}).e8, 1);
  EXPECT_EQ(cost_of({half, half, 0}, {2, 0, 0}).e8, 1) << "not rounded token by token";
  // Half a billion tokens at a price of 15 digits: no double could hold the product.
  EXPECT_EQ(cost_of({123'456'789'012'345, 0, 0}, {500'000'000, 0, 0}).e8,
            INT64_C(6'172'839'450'617'250));
}

TEST(Price, CachedTokensHaveTheirOwn) {
  EXPECT_EQ(cost_of({100'000'000, 10'000'000, 200'000'000}, {100, 60, 10}).e8,
            (40 * 10 + 60 * 1 + 10 * 20));
  EXPECT_EQ(Cost{123'456'789'000}.text(), "1234.56789");
  EXPECT_EQ(Cost{}.text(), "0");
}

TEST_F(Prices, AnAdapterHasItsOwnRowElseItsModels) {
  const auto table = read(
      "per: 1M\nmodels:\n  - {model: m, input: 1, output: 2}\n"
      "  - {model: m, adapter: a, input: 3, cached_input: 1, output: 4}\n");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->find("m", "a")->input, 3'000'000'000);
  EXPECT_EQ(table->find("m", "a")->cached_input, 1'000'000'000);
  EXPECT_EQ(table->find("m", "b")->input, 1'000'000'000);
  EXPECT_EQ(table->find("m", "")->cached_input, 1'000'000'000) << "as input";
  EXPECT_EQ(table->find("a", "")->input, 3'000'000'000) << "as a span names it";
  EXPECT_FALSE(table->find("x", ""));
  EXPECT_TRUE(table->require({"m"}));
  const Status missing = table->require({"m", "x"});
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("got no price for model \"x\""), std::string::npos)
      << missing.error().message;
}

TEST_F(Prices, BadTablesAreRefusedWithTheirPlace) {
  struct Row {
    const char* text;
    const char* message;
  };
  for (const Row& row :
       {Row{"per: 1G\n", "prices.yaml:1: per: got \"1G\""},
        {"models:\n  - {model: m, input: 1}\n", "output: missing"},
        {"models:\n  - {model: m, input: -1, output: 1}\n", "input: got \"-1\""},
        {"models:\n  - {model: m, input: x, output: 1}\n", "input: got \"x\""},
        {"models:\n  - {model: m, input: true, output: 1}\n", "input: got \"\""},
        {"models:\n  - {input: 1, output: 1}\n", "model"},
        {"models:\n  - {model: m, input: 1, output: 1}\n  - {model: m, input: 1, output: 1}\n",
         "prices.yaml:3: models[1].model: got \"m\" twice"},
        {"default: {input: 1, output: 1}\nprice: 3\n", "price"}}) {
    const auto table = read(row.text);
    ASSERT_FALSE(table) << row.text;
    EXPECT_NE(table.error().message.find(row.message), std::string::npos)
        << row.text << table.error().message;
  }
}

}  // namespace
}  // namespace touchstone::telemetry
