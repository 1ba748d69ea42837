// Beam search against every text there is: on a small random tree of log-probabilities the beams
// are the best of what a search of that width can see, and those of unlimited width are the best
// of all.
#include "reference_engine/server/beam_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/random.h"

namespace touchstone::server {
namespace {

constexpr int32_t kVocab = 4;
constexpr int32_t kEos = 3;
const std::vector<int32_t> kPrompt = {0, 1};

/// Log-probabilities after a text, most likely first, the same for the same text.
BeamSearch::Row row_after(const std::vector<int32_t>& text, uint64_t seed) {
  uint64_t number = seed;
  for (const int32_t token : text) number = number * 31 + static_cast<uint64_t>(token) + 1;
  RandomStream random(number, "row");
  std::vector<double> weights;
  double sum = 0;
  for (int32_t token = 0; token < kVocab; ++token) {
    weights.push_back(static_cast<double>(1 + random.below(1000)));
    sum += weights.back();
  }
  BeamSearch::Row row;
  for (int32_t token = 0; token < kVocab; ++token) {
    const auto at = static_cast<size_t>(token);
    row.push_back({token, static_cast<float>(std::log(weights[at] / sum)), 0});
  }
  std::ranges::stable_sort(row, std::greater<>(), &sampling::TokenLogprob::logprob);
  return row;
}

std::vector<BeamSearch::Result> search(const BeamSearch::Options& options, uint64_t seed) {
  BeamSearch search(options, kPrompt);
  while (!search.done()) {
    std::vector<BeamSearch::Row> rows;
    for (size_t i = 0; i < search.size(); ++i) rows.push_back(row_after(search.tokens(i), seed));
    search.advance(rows);
  }
  return search.best();
}

struct Text {
  std::vector<int32_t> tokens;
  double score = 0;
};

/// All texts of up to `left` more tokens, with vLLM's score.
void list_texts(std::vector<int32_t> text, double cumulative, int32_t left, double penalty,
                uint64_t seed, std::vector<Text>& out) {
  const auto score = [&](double sum) {
    return sum / std::pow(static_cast<double>(kPrompt.size() + text.size()), penalty);
  };
  if (left == 0) {
    out.push_back({text, score(cumulative)});
    return;
  }
  for (const sampling::TokenLogprob& next : row_after(text, seed)) {
    const double sum = cumulative + double{next.logprob};
    if (next.token == kEos) {
      out.push_back({text, score(sum)});
      continue;
    }
    text.push_back(next.token);
    list_texts(text, sum, left - 1, penalty, seed, out);
    text.pop_back();
  }
}

TEST(BeamSearch, AWideOneFindsTheBestTextsOfAll) {
  for (const double penalty : {0.0, 1.0, 2.0}) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      const BeamSearch::Options options{
          .width = 81, .max_tokens = 4, .length_penalty = penalty, .eos_token_id = kEos};
      std::vector<Text> expected;
      list_texts({}, 0, 4, penalty, seed, expected);
      std::ranges::stable_sort(expected, std::greater<>(), &Text::score);
      const auto found = search(options, seed);
      ASSERT_EQ(found.size(), 81u);
      for (size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(found[i].tokens, expected[i].tokens) << seed << " " << i;
      }
    }
  }
}

TEST(BeamSearch, OfWidthOneIsGreedyUnlessAnEndScoresBetter) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const auto found = search({.width = 1, .max_tokens = 6}, seed);
    std::vector<int32_t> greedy;
    for (int i = 0; i < 6; ++i) greedy.push_back(row_after(greedy, seed)[0].token);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].tokens, greedy);
    EXPECT_FALSE(found[0].stopped);
  }
}

TEST(BeamSearch, LengthPenaltyDecidesBetweenShortAndLong) {
  size_t shorter = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const auto length = [&](double penalty) {
      return search({.width = 3, .max_tokens = 5, .length_penalty = penalty, .eos_token_id = kEos},
                    seed)[0]
          .tokens.size();
    };
    EXPECT_LE(length(0), length(4));
    shorter += length(0) < length(4) ? 1 : 0;
  }
  EXPECT_GT(shorter, 5u);
}

TEST(BeamSearch, EndsAreKeptWhenAskedForAndRowsBelongToTheirTokens) {
  const auto found = search(
      {.width = 3, .max_tokens = 5, .eos_token_id = kEos, .keep_eos = true, .keep_logprobs = true},
      4);
  bool stopped = false;
  for (const auto& result : found) {
    stopped = stopped || result.stopped;
    EXPECT_EQ(result.stopped, result.tokens.back() == kEos);
    ASSERT_EQ(result.logprobs.size(), result.tokens.size());
    std::vector<int32_t> before;
    for (size_t i = 0; i < result.tokens.size(); ++i) {
      EXPECT_EQ(result.logprobs[i][0].token, result.tokens[i]);
      EXPECT_EQ(result.logprobs[i][1], row_after(before, 4)[0]);
      before.push_back(result.tokens[i]);
    }
  }
  EXPECT_TRUE(stopped);
}

TEST(BeamSearch, ASampledTokenThatIsAmongTheLikelyOnesCountsOnce) {
  BeamSearch search({.width = 2, .max_tokens = 1}, kPrompt);
  const BeamSearch::Row row = {{2, -3.0F, 3}, {0, -1.0F, 1}, {1, -2.0F, 2}, {2, -3.0F, 3}};
  search.advance(std::vector<BeamSearch::Row>{row});
  const auto best = search.best();
  ASSERT_EQ(best.size(), 2u);
  EXPECT_EQ(best[0].tokens, std::vector<int32_t>{0});
  EXPECT_EQ(best[1].tokens, std::vector<int32_t>{1});
}

}  // namespace
}  // namespace touchstone::server
