#include "reference_engine/sampling/sampler.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "base/random.h"

namespace touchstone::sampling {
namespace {

using Logits = std::vector<float>;

int32_t sample_token(const Logits& logits, const Params& params, const History& history = {}) {
  Scratch scratch;
  return sample(logits, params, history, scratch);
}

Params greedy() {
  Params params;
  params.temperature = 0;
  return params;
}

Logits random_logits(RandomStream& random, size_t count, double spread) {
  Logits logits;
  for (size_t i = 0; i < count; ++i) logits.push_back(static_cast<float>(spread * random.normal()));
  return logits;
}

/// How often each token comes for seeds 0 … draws-1.
std::vector<int64_t> histogram(const Logits& logits, Params params, int64_t draws) {
  std::vector<int64_t> counts(logits.size(), 0);
  Scratch scratch;
  for (int64_t seed = 0; seed < draws; ++seed) {
    params.seed = static_cast<uint64_t>(seed);
    ++counts[static_cast<size_t>(sample(logits, params, {}, scratch))];
  }
  return counts;
}

std::vector<double> softmax(const Logits& logits, double temperature) {
  const double top = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  double sum = 0;
  for (const float x : logits) sum += p.emplace_back(std::exp((x - top) / temperature));
  for (double& x : p) x /= sum;
  return p;
}

double chi_square(const std::vector<int64_t>& counts, const std::vector<double>& p) {
  const int64_t draws = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double expected = p[i] * static_cast<double>(draws);
    if (expected == 0) {
      EXPECT_EQ(counts[i], 0) << "token " << i;
      continue;
    }
    sum += std::pow(static_cast<double>(counts[i]) - expected, 2) / expected;
  }
  return sum;
}

TEST(Sampler, GreedyIsTheMostLikelyAndTheLowestOfEquals) {
  EXPECT_EQ(sample_token({0.1F, 2.0F, -1.0F}, greedy()), 1);
  EXPECT_EQ(sample_token({3.0F, 5.0F, 5.0F, 5.0F}, greedy()), 1);
  Params cold = greedy();
  cold.temperature = 9e-6;  // vLLM: below 1e-5 is greedy
  EXPECT_EQ(sample_token({3.0F, 5.0F, 5.0F, 5.0F}, cold), 1);
}

TEST(Sampler, DrawsFollowTheSoftmax) {
  const Logits logits = {0.0F, 1.0F, -1.0F, 2.0F, 0.5F, -3.0F, 1.5F, 0.25F};
  for (const double temperature : {0.5, 1.0, 2.0}) {
    Params params;
    params.temperature = temperature;
    // 7 degrees of freedom: 24.3 is passed once in a thousand times. The seeds are fixed.
    EXPECT_LT(chi_square(histogram(logits, params, 40000), softmax(logits, temperature)), 24.3)
        << "temperature " << temperature;
  }
}

TEST(Sampler, DrawsOfOneSeedAtManyPositionsFollowTheSoftmaxToo) {
  const Logits logits = {0.0F, 1.0F, -1.0F, 2.0F};
  Params params;
  params.seed = 42;
  std::vector<int32_t> output;
  std::vector<int64_t> counts(4, 0);
  for (int i = 0; i < 20000; ++i) {
    const int32_t token = sample_token(logits, params, {{}, output});
    ++counts[static_cast<size_t>(token)];
    output.push_back(token);
  }
  EXPECT_LT(chi_square(counts, softmax(logits, 1.0)), 16.3);  // 3 degrees, one in a thousand
}

TEST(Sampler, ATokenDependsOnSeedAndPositionOnly) {
  RandomStream random(1, "sampler");
  const Logits logits = random_logits(random, 1000, 1.0);
  Params params;
  params.seed = 7;
  const std::vector<int32_t> prompt_a = {1, 2, 3};
  const std::vector<int32_t> prompt_b = {9};
  const std::vector<int32_t> output = {5, 6};
  EXPECT_EQ(sample_token(logits, params, {prompt_a, output}),
            sample_token(logits, params, {prompt_b, output}));
  std::set<int32_t> seen;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    params.seed = seed;
    seen.insert(sample_token(logits, params, {prompt_a, output}));
  }
  EXPECT_GT(seen.size(), 25U);
}

/// The tokens that come at all when every one that may come is about equally likely.
std::set<int32_t> support(const Logits& logits, const Params& params, int64_t draws) {
  const std::vector<int64_t> counts = histogram(logits, params, draws);
  std::set<int32_t> tokens;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) tokens.insert(static_cast<int32_t>(i));
  }
  return tokens;
}

TEST(Sampler, TopKKeepsExactlyTheKMostLikely) {
  const Logits logits = {0.1F, 0.5F, 0.2F, 0.4F, 0.3F};
  Params params;
  for (int32_t k = 1; k <= 6; ++k) {
    params.top_k = k;
    const std::vector<int32_t> order = {1, 3, 4, 2, 0};
    const std::set<int32_t> expected(order.begin(), order.begin() + std::min(k, 5));
    EXPECT_EQ(support(logits, params, 400), expected) << "k " << k;
  }
  params.top_k = 2;
  EXPECT_EQ(support({1, 1, 1, 1}, params, 200), (std::set<int32_t>{0, 1})) << "ties: lowest ids";
}

TEST(Sampler, TopPKeepsTheFewestThatReachIt) {
  // Probabilities 0.4, 0.3, 0.2, 0.1 in a mixed order.
  const Logits logits = {std::log(0.2F), std::log(0.4F), std::log(0.1F), std::log(0.3F)};
  const std::vector<std::pair<double, std::set<int32_t>>> table = {
      {0.05, {1}},    {0.39, {1}},      {0.5, {1, 3}},
      {0.69, {1, 3}}, {0.8, {0, 1, 3}}, {0.95, {0, 1, 2, 3}}};
  for (const auto& [top_p, expected] : table) {
    Params params;
    params.top_p = top_p;
    EXPECT_EQ(support(logits, params, 500), expected) << "top_p " << top_p;
  }
}

TEST(Sampler, TopPIsTakenOfWhatTopKLeft) {
  const Logits logits = {std::log(0.4F), std::log(0.3F), std::log(0.2F), std::log(0.1F)};
  Params params;
  params.top_k = 2;     // 4/7 and 3/7 remain
  params.top_p = 0.56;  // 4/7 = 0.571 suffices; of the whole, 0.4 would not
  EXPECT_EQ(support(logits, params, 300), (std::set<int32_t>{0}));
}

TEST(Sampler, MinPIsRelativeToTheMostLikely) {
  const Logits logits = {std::log(0.5F), std::log(0.26F), std::log(0.2F), std::log(0.04F)};
  Params params;
  params.min_p = 0.45;
  EXPECT_EQ(support(logits, params, 300), (std::set<int32_t>{0, 1}));
}

TEST(Sampler, RestrictedDrawsKeepTheirProportions) {
  const Logits logits = {0.0F, 1.0F, -1.0F, 2.0F, 0.5F};
  Params params;
  params.top_k = 3;  // tokens 3, 1, 4
  std::vector<double> p = softmax(logits, 1.0);
  p[0] = p[2] = 0;
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= sum;
  EXPECT_LT(chi_square(histogram(logits, params, 20000), p), 13.8);  // 2 degrees
}

TEST(Sampler, PenaltiesAreVllms) {
  Params params = greedy();
  const std::vector<int32_t> prompt = {0};
  const std::vector<int32_t> output = {1, 1};
  // Repetition divides positive and multiplies negative logits, prompt tokens included.
  params.repetition_penalty = 2.0;
  EXPECT_EQ(sample_token({4.0F, 3.9F, 2.1F}, params, {prompt, output}), 2);
  EXPECT_EQ(sample_token({-1.0F, -1.5F, -1.9F}, params, {prompt, output}), 2);
  // Frequency counts output tokens only.
  params = greedy();
  params.frequency_penalty = 0.5;
  EXPECT_EQ(sample_token({3.0F, 3.9F, 0.0F}, params, {prompt, output}), 0);
  EXPECT_EQ(sample_token({3.0F, 4.1F, 0.0F}, params, {prompt, output}), 1);
  // Presence counts once.
  params = greedy();
  params.presence_penalty = 0.5;
  EXPECT_EQ(sample_token({3.0F, 3.4F, 0.0F}, params, {prompt, output}), 0);
  EXPECT_EQ(sample_token({3.0F, 3.6F, 0.0F}, params, {prompt, output}), 1);
}

TEST(Sampler, MasksAndBiasComeBeforeTheChoice) {
  Params params = greedy();
  params.logit_bias = {{2, 10.0F}, {99, 5.0F}};  // ids beyond the vocabulary are without effect
  EXPECT_EQ(sample_token({1, 2, 0}, params), 2);
  params = greedy();
  params.min_tokens = 2;
  params.masked_before_min_tokens = {1};
  const std::vector<int32_t> two = {0, 0};
  EXPECT_EQ(sample_token({1, 2, 0}, params), 0);
  EXPECT_EQ(sample_token({1, 2, 0}, params, {{}, two}), 1);
  params = greedy();
  params.bad_words = {{7, 1}, {0}};
  const std::vector<int32_t> seven = {7};
  EXPECT_EQ(sample_token({5, 4, 3}, params, {{}, seven}), 2);
  EXPECT_EQ(sample_token({5, 4, 3}, params, {{}, two}), 1);
}

TEST(Sampler, ATokenBitmaskLeavesOnlyWhatItAllows) {
  Logits logits(70, 1.0F);
  logits[3] = 9.0F;
  logits[64] = 5.0F;
  std::vector<int32_t> words(static_cast<size_t>(bitmask_words(70)), 0);
  ASSERT_EQ(words.size(), 3U);
  words[0] = static_cast<int32_t>(0x80000000U);  // token 31
  words[2] = 1;                                  // token 64
  apply_token_bitmask(words, logits);
  EXPECT_EQ(sample_token(logits, greedy()), 64);
  for (size_t i = 0; i < logits.size(); ++i) {
    EXPECT_EQ(std::isfinite(logits[i]), i == 31 || i == 64) << i;
  }
}

TEST(Sampler, WhenEverythingIsMaskedOrNotANumberATokenStillComes) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float none = -std::numeric_limits<float>::infinity();
  for (const Logits& logits : {Logits{none, none}, Logits{nan, nan}, Logits{nan, 1.0F}}) {
    for (const double temperature : {0.0, 1.0}) {
      Params params;
      params.temperature = temperature;
      params.top_p = 0.5;
      const int32_t token = sample_token(logits, params);
      EXPECT_GE(token, 0);
      EXPECT_LT(token, 2);
    }
  }
}

/// The definition, by sorting everything.
std::set<int32_t> allowed_by_definition(const Logits& logits, const Params& params) {
  const std::vector<double> p = softmax(logits, params.temperature);
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  });
  if (params.top_k > 0 && static_cast<size_t>(params.top_k) < order.size()) {
    order.resize(static_cast<size_t>(params.top_k));
  }
  double total = 0;
  for (const int32_t token : order) total += p[static_cast<size_t>(token)];
  std::set<int32_t> allowed;
  double mass = 0;
  for (const int32_t token : order) {
    allowed.insert(token);
    mass += p[static_cast<size_t>(token)];
    if (mass >= params.top_p * total * (1 + 1e-9)) break;  // one more than needed at equality
  }
  return allowed;
}

/// Tokens so alike that each comes often: what is dropped before the draw must not be of them.
TEST(Sampler, EveryTokenOfTheNucleusIsDrawn) {
  RandomStream random(7, "nucleus");
  const Logits logits = random_logits(random, 300, 0.3);
  for (const int32_t top_k : {0, 200}) {
    Params params;
    params.top_k = top_k;
    params.top_p = 0.8;
    const std::vector<int64_t> counts = histogram(logits, params, 40'000);
    const std::set<int32_t> allowed = allowed_by_definition(logits, params);
    EXPECT_GT(allowed.size(), 100u);
    for (size_t i = 0; i < counts.size(); ++i) {
      EXPECT_EQ(counts[i] > 0, allowed.contains(static_cast<int32_t>(i))) << "token " << i;
    }
  }
}

RC_GTEST_PROP(SamplerProperty, TopKAndTopPOfLargeVocabulariesStayWithinTheDefinition,
              (uint64_t seed)) {
  RandomStream random(seed, "sampler");
  const Logits logits = random_logits(random, 1 + random.below(3000), 1 + random.uniform() * 3);
  Params params;
  params.temperature = 0.3 + random.uniform() * 2;
  params.top_k = random.chance(1, 2) ? static_cast<int32_t>(random.below(300)) : 0;
  params.top_p = random.chance(1, 3) ? 1.0 : 0.01 + 0.98 * random.uniform();
  const std::set<int32_t> allowed = allowed_by_definition(logits, params);
  for (int i = 0; i < 20; ++i) {
    params.seed = random.next();
    RC_ASSERT(allowed.contains(sample_token(logits, params)));
  }
}

RC_GTEST_PROP(SamplerProperty, ScratchDoesNotCarryAnythingOver, (uint64_t seed)) {
  RandomStream random(seed, "scratch");
  Scratch used;
  for (int i = 0; i < 4; ++i) {
    const Logits logits = random_logits(random, 1 + random.below(200), 2);
    Params params;
    params.seed = random.next();
    params.top_k = static_cast<int32_t>(random.below(20));
    params.top_p = 0.1 + 0.9 * random.uniform();
    params.frequency_penalty = random.uniform();
    const std::vector<int32_t> output = {0, 0};
    Scratch fresh;
    const History history{output, output};
    RC_ASSERT(sample(logits, params, history, used) == sample(logits, params, history, fresh));
  }
}

}  // namespace
}  // namespace touchstone::sampling
