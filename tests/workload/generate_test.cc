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

double requests_between(const Workload& w, double from_s, double to_s) {
  double count = 0;
  for (const Request& r : w.requests) {
    const double s = static_cast<double>(r.arrival_ns) * 1e-9;
    count += s >= from_s && s < to_s;
  }
  return count;
}

TEST(Generate, AMarkovLoadHasItsMeanRateAndItsBursts) {
  const Workload w = generate({.seed = 9,
                               .requests = 400'000,
                               .arrivals = Arrivals::kMarkov,
                               .rate_per_s = 100,
                               .burst_factor = 9,
                               .burst_share = 0.2,
                               .burst_ns = 5'000'000'000})
                         .value();
  const double seconds = static_cast<double>(w.requests.back().arrival_ns) * 1e-9;
  EXPECT_NEAR(400'000 / seconds, 100, 6);
  // Slots of a second are mostly all calm, at 100 / (0.8 + 0.2 x 9) = 38.5/s, or all burst.
  std::vector<double> slots(static_cast<size_t>(seconds));
  for (const Request& r : w.requests) {
    const auto slot = static_cast<size_t>(static_cast<double>(r.arrival_ns) * 1e-9);
    if (slot < slots.size()) ++slots[slot];
  }
  EXPECT_NEAR(quantile(slots, 0.4), 38.5, 3);
  EXPECT_NEAR(quantile(slots, 0.95), 346, 25);
}

TEST(Generate, ADiurnalLoadRisesAndFallsOnceAPeriod) {
  const Workload w = generate({.seed = 2,
                               .requests = 200'000,
                               .arrivals = Arrivals::kDiurnal,
                               .rate_per_s = 50,
                               .swing = 0.6,
                               .period_ns = 1'000'000'000'000})
                         .value();
  EXPECT_NEAR(requests_between(w, 0, 4000), 200'000, 2000);
  EXPECT_NEAR(requests_between(w, 0, 50), 50 * 50 * 0.4, 150) << "lowest at the start";
  EXPECT_NEAR(requests_between(w, 475, 525), 50 * 50 * 1.6, 250) << "highest at the half";
  EXPECT_NEAR(requests_between(w, 1000, 1050), 50 * 50 * 0.4, 150) << "and again";
}

TEST(Generate, SessionsRepeatWhatWasSaidAndThink) {
  const Workload w = generate({.seed = 4,
                               .requests = 3000,
                               .rate_per_s = 20,
                               .prefixes = 2,
                               .prefix_tokens = 48,
                               .turns = {.low = 2, .high = 6},
                               .think_time_ns = 3'000'000'000,
                               .context_tokens = 2000})
                         .value();
  std::map<std::string, std::vector<Request>> sessions;
  int64_t before_ns = 0;
  for (const Request& r : w.requests) {
    EXPECT_GE(r.arrival_ns, before_ns);
    before_ns = r.arrival_ns;
    EXPECT_LE(r.prompt_tokens, 2000);
    sessions[r.session].push_back(r);
  }
  EXPECT_GT(sessions.size(), 500u);
  double think_s = 0;
  int64_t later = 0;
  for (const auto& [name, turns] : sessions) {
    EXPECT_FALSE(turns[0].think_ns.has_value()) << name;
    for (size_t i = 1; i < turns.size(); ++i) {
      const Request& last = turns[i - 1];
      EXPECT_GT(turns[i].prompt_tokens, last.prompt_tokens + last.output_tokens) << name;
      EXPECT_EQ(turns[i].arrival_ns, last.arrival_ns + turns[i].think_ns.value());
      ASSERT_GE(turns[i].prefix_block_ids.size(), last.prefix_block_ids.size());
      EXPECT_TRUE(std::equal(last.prefix_block_ids.begin(), last.prefix_block_ids.end(),
                             turns[i].prefix_block_ids.begin()))
          << name << ": the prefix grows";
      think_s += static_cast<double>(*turns[i].think_ns) * 1e-9;
      ++later;
    }
  }
  EXPECT_NEAR(think_s / static_cast<double>(later), 3, 0.3);
}

TEST(Generate, TenantsPrioritiesAndHangUpsComeAsOftenAsAsked) {
  const Workload w =
      generate(
          {.seed = 6, .requests = 12'000, .tenants = 3, .priorities = 4, .hang_up_percent = 25})
          .value();
  std::map<std::string, int> tenants;
  std::map<int64_t, int> priorities;
  int hang_ups = 0;
  for (const Request& r : w.requests) {
    ++tenants[r.tenant];
    ++priorities[r.priority];
    if (!r.hang_up_after_chunks) continue;
    ++hang_ups;
    EXPECT_TRUE(r.stream);
    EXPECT_LE(*r.hang_up_after_chunks, r.output_tokens);
  }
  EXPECT_NEAR(tenants["tenant-1"], 12'000 * 6 / 11.0, 300);
  EXPECT_NEAR(tenants["tenant-3"], 12'000 * 2 / 11.0, 300);
  EXPECT_EQ(priorities.size(), 4u);
  EXPECT_NEAR(priorities[3], 3000, 200);
  EXPECT_NEAR(hang_ups, 3000, 200);
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
      {"turns", [](GenerateOptions& o) { o.turns = {.low = 0, .high = 1}; }},
      {"think_time_ns", [](GenerateOptions& o) { o.think_time_ns = -1; }},
      {"context_tokens", [](GenerateOptions& o) { o.context_tokens = -1; }},
      {"tenants", [](GenerateOptions& o) { o.tenants = -1; }},
      {"priorities", [](GenerateOptions& o) { o.priorities = 0; }},
      {"hang_up_percent", [](GenerateOptions& o) { o.hang_up_percent = 101; }},
      {"burst_factor", [](GenerateOptions& o) { o.burst_factor = NAN; }},
      {"burst_share", [](GenerateOptions& o) { o.burst_share = 1; }},
      {"burst_ns", [](GenerateOptions& o) { o.burst_ns = 0; }},
      {"swing", [](GenerateOptions& o) { o.swing = 2; }},
      {"period_ns", [](GenerateOptions& o) { o.period_ns = 0; }},
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
