#include "workload/generate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "base/statistics.h"

namespace touchstone::workload {
namespace {

using Arrivals = GenerateOptions::Arrivals;

std::string text(const Workload& workload) {
  std::string result;
  for (const Request& request : workload.requests) result += to_json_line(request) + "\n";
  return result;
}

TEST(Generate, EqualOptionsGiveEqualWorkloads) {
  GenerateOptions options{.seed = 7, .requests = 50, .prefixes = 3, .prefix_tokens = 64};
  const std::string once = text(generate(options).value());
  EXPECT_EQ(once, text(generate(options).value()));
  options.seed = 8;
  EXPECT_NE(once, text(generate(options).value()));
}

TEST(Generate, LengthsDoNotChangeWithTheArrivalProcess) {
  GenerateOptions options{.requests = 20};
  const Workload poisson = generate(options).value();
  options.arrivals = Arrivals::kConstant;
  const Workload constant = generate(options).value();
  for (size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(poisson.requests[i].prompt_tokens, constant.requests[i].prompt_tokens);
  }
  EXPECT_EQ(constant.requests[19].arrival_ns, 20'000'000'000);
}

TEST(Generate, GapsHaveTheMeanAndVariationAskedFor) {
  const std::tuple<Arrivals, double, double> rows[] = {{Arrivals::kConstant, 1, 0},
                                                       {Arrivals::kPoisson, 1, 1},
                                                       {Arrivals::kGamma, 2.5, 2.5},
                                                       {Arrivals::kGamma, 0.5, 0.5}};
  for (const auto& [arrivals, variation, expected] : rows) {
    const Workload w = generate({.seed = 3,
                                 .requests = 40'000,
                                 .arrivals = arrivals,
                                 .rate_per_s = 50,
                                 .gap_variation = variation})
                           .value();
    std::vector<double> gaps;
    int64_t before = 0;
    for (const Request& r : w.requests) {
      gaps.push_back(static_cast<double>(r.arrival_ns - before) * 1e-9);
      before = r.arrival_ns;
    }
    const double m = mean(gaps);
    double squares = 0;
    for (const double gap : gaps) squares += (gap - m) * (gap - m);
    const double got = std::sqrt(squares / static_cast<double>(gaps.size())) / m;
    EXPECT_NEAR(m, 0.02, 0.02 * 0.05) << variation;  // four standard errors at most
    EXPECT_NEAR(got, expected, 0.05 * (expected + 0.1)) << variation;
  }
}

TEST(Generate, SharedPrefixesAreFullBlocksOfEqualIds) {
  const Workload w = generate({.requests = 500,
                               .prompt_tokens = {.low = 40, .high = 90},
                               .prefixes = 3,
                               .prefix_tokens = 50,
                               .prefix_percent = 80})
                         .value();
  std::map<uint64_t, int> firsts;
  int sharing = 0;
  for (const Request& r : w.requests) {
    if (r.prefix_block_ids.empty()) continue;
    ++sharing;
    ++firsts[r.prefix_block_ids[0]];
    EXPECT_LE(r.prefix_block_ids.size(), 3u);
    EXPECT_LT(std::ssize(r.prefix_block_ids) * 16, r.prompt_tokens);
  }
  EXPECT_EQ(firsts.size(), 3u);
  EXPECT_NEAR(sharing, 400, 40);
}

TEST(Generate, TimesThatDoNotFitAreTheLatestThereIs) {
  Generator generator({.requests = 3, .rate_per_s = 1e-300});
  Request request;
  int64_t last_ns = 0;
  while (generator.next(request).value()) {
    EXPECT_GE(request.arrival_ns, last_ns);
    last_ns = request.arrival_ns;
  }
  EXPECT_EQ(last_ns, INT64_MAX);
}

TEST(Generate, BadOptionsAreRefusedByName) {
  const std::pair<const char*, void (*)(GenerateOptions&)> rows[] = {
      {"requests", [](GenerateOptions& o) { o.requests = 0; }},
      {"rate_per_s", [](GenerateOptions& o) { o.rate_per_s = 0; }},
      {"rate_per_s", [](GenerateOptions& o) { o.rate_per_s = NAN; }},
      {"gap_variation", [](GenerateOptions& o) { o.gap_variation = -1; }},
      {"prompt_tokens", [](GenerateOptions& o) { o.prompt_tokens.low = 0; }},
      {"output_tokens", [](GenerateOptions& o) { o.output_tokens = {.low = 9, .high = 8}; }},
      {"prefixes", [](GenerateOptions& o) { o.prefixes = -1; }},
      {"prefix_tokens", [](GenerateOptions& o) { o.prefixes = 1, o.prefix_tokens = 512; }},
      {"prefix_percent", [](GenerateOptions& o) { o.prefix_percent = 101; }},
      {"prefix_block_size", [](GenerateOptions& o) { o.prefix_block_size = 0; }},
  };
  for (const auto& [option, spoil] : rows) {
    GenerateOptions options{.requests = 1};
    spoil(options);
    const auto w = generate(options);
    ASSERT_FALSE(w.has_value()) << option;
    EXPECT_NE(w.error().message.find(option), std::string::npos) << w.error().message;
  }
}

}  // namespace
}  // namespace touchstone::workload
