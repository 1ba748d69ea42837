// Tokens and log-probabilities against those of the CPU (sampling/), for the same logits: equal
// tokens, not merely likely ones.
#include <cmath>
#include <optional>

#include "reference_engine/sampling/logprobs.h"
#include "reference_engine/sampling/sampler.h"
#include "tests/cuda_kernels/kernel_fixture.h"

namespace touchstone::backend::cuda {
namespace {

/// What one row asks for, as the CPU takes it.
struct Asked {
  sampling::Params params;
  std::vector<int32_t> prompt;
  std::vector<int32_t> output;
  std::vector<int32_t> bitmask;  // empty: all
};

constexpr int64_t kOutputStride = 12;

/// The arrays of SampleLogits, put together from what rows ask for.
struct Flat {
  std::vector<SampleRow> rows;
  std::vector<int32_t> bitmasks = {0};
  std::vector<int32_t> bias_tokens = {0};
  std::vector<float> bias_values = {0};
  std::vector<int32_t> masked = {0};
  std::vector<int32_t> word_starts = {0};
  std::vector<int32_t> words = {0};
  std::vector<int32_t> outputs;
};

void add_row(const Asked& asked, int32_t index, int64_t mask_words, Flat& flat) {
  const sampling::Params& params = asked.params;
  SampleRow row;
  row.temperature = params.temperature;
  row.top_p = params.top_p;
  row.min_p = params.min_p;
  row.seed = params.seed;
  row.position = static_cast<int32_t>(asked.output.size());
  row.top_k = params.top_k;
  row.presence_penalty = static_cast<float>(params.presence_penalty);
  row.frequency_penalty = static_cast<float>(params.frequency_penalty);
  row.repetition_penalty = static_cast<float>(params.repetition_penalty);
  row.logits_row = row.slot = row.counts_row = index;
  if (!asked.bitmask.empty()) {
    row.bitmask_row = static_cast<int32_t>(static_cast<int64_t>(flat.bitmasks.size()) / mask_words);
    flat.bitmasks.resize(static_cast<size_t>(row.bitmask_row * mask_words));
    flat.bitmasks.insert(flat.bitmasks.end(), asked.bitmask.begin(), asked.bitmask.end());
  }
  row.first_bias = static_cast<int32_t>(flat.bias_tokens.size());
  row.num_biases = static_cast<int32_t>(params.logit_bias.size());
  for (const auto& [token, value] : params.logit_bias) {
    flat.bias_tokens.push_back(token);
    flat.bias_values.push_back(value);
  }
  row.first_masked = static_cast<int32_t>(flat.masked.size());
  if (static_cast<int32_t>(asked.output.size()) < params.min_tokens) {
    row.num_masked = static_cast<int32_t>(params.masked_before_min_tokens.size());
    flat.masked.insert(flat.masked.end(), params.masked_before_min_tokens.begin(),
                       params.masked_before_min_tokens.end());
  }
  row.first_word = static_cast<int32_t>(flat.word_starts.size()) - 1;
  row.num_words = static_cast<int32_t>(params.bad_words.size());
  flat.words.resize(static_cast<size_t>(flat.word_starts.back()));
  for (const std::vector<int32_t>& word : params.bad_words) {
    flat.words.insert(flat.words.end(), word.begin(), word.end());
    flat.word_starts.push_back(static_cast<int32_t>(flat.words.size()));
  }
  if (flat.words.empty()) flat.words = {0};
  std::vector<int32_t> said = asked.output;
  said.resize(kOutputStride, -5);
  flat.outputs.insert(flat.outputs.end(), said.begin(), said.end());
  flat.rows.push_back(row);
}

std::vector<int32_t> counts_of(const Asked& asked, int32_t vocab) {
  Array<int32_t> counts(std::vector<int32_t>(static_cast<size_t>(vocab), 77), "counts");
  std::vector<int32_t> prompt = asked.prompt;
  prompt.push_back(-1);
  prompt.push_back(vocab);
  Array<int32_t> tokens(prompt, "prompt");
  expect_one_result({&counts}, [&] {
    count_prompt(counts.data(), vocab, tokens.data(), static_cast<int32_t>(prompt.size()), nullptr);
  });
  auto all = counts.values();
  for (const int32_t token : asked.output) {
    all[static_cast<size_t>(token)] = std::max(all[static_cast<size_t>(token)], 0) + 1;
  }
  return all;
}

/// Samples all rows at once and compares tokens and what is kept of them.
void check_rows(Element element, int32_t vocab, const std::vector<float>& logits,
                const std::vector<Asked>& asked) {
  const int32_t n = static_cast<int32_t>(asked.size());
  const size_t width = static_cast<size_t>(vocab);
  const int64_t words = sampling::bitmask_words(vocab);
  Flat flat;
  flat.bitmasks.clear();
  std::vector<int32_t> counts_before;
  for (int32_t i = 0; i < n; ++i) {
    add_row(asked[static_cast<size_t>(i)], i, words, flat);
    const auto counts = counts_of(asked[static_cast<size_t>(i)], vocab);
    counts_before.insert(counts_before.end(), counts.begin(), counts.end());
  }
  if (flat.bitmasks.empty()) flat.bitmasks = {0};
  Elements device_logits(element, logits, "logits");
  Array<SampleRow> rows(flat.rows, "rows");
  Array<int32_t> bitmasks(flat.bitmasks, "bitmasks");
  Array<int32_t> bias_tokens(flat.bias_tokens, "bias_tokens");
  Array<float> bias_values(flat.bias_values, "bias_values");
  Array<int32_t> masked(flat.masked, "masked_tokens");
  Array<int32_t> word_starts(flat.word_starts, "word_starts");
  Array<int32_t> word_tokens(flat.words, "word_tokens");
  Array<int32_t> counts(counts_before, "counts");
  Array<int32_t> latest(std::vector<int32_t>(asked.size(), -3), "latest");
  Array<int32_t> outputs(flat.outputs, "outputs");
  Array<int32_t> tokens(std::vector<int32_t>(asked.size(), -3), "tokens");
  DeviceMemory workspace(static_cast<size_t>(sample_workspace_bytes(n, vocab)), "workspace");
  const SampleLogits args = {.element = element,
                             .num_rows = n,
                             .vocab_size = vocab,
                             .rows = rows.data(),
                             .logits = device_logits.bytes(),
                             .logits_stride = vocab,
                             .bitmasks = bitmasks.data(),
                             .bitmask_stride = words,
                             .bias_tokens = bias_tokens.data(),
                             .bias_values = bias_values.data(),
                             .masked_tokens = masked.data(),
                             .word_starts = word_starts.data(),
                             .word_tokens = word_tokens.data(),
                             .counts = counts.data(),
                             .latest = latest.data(),
                             .outputs = outputs.data(),
                             .outputs_stride = kOutputStride,
                             .tokens = tokens.data()};
  expect_one_result({&counts, &latest, &outputs, &tokens},
                    [&] { sample(args, workspace.bytes(), nullptr); });
  sampling::Scratch scratch;
  for (size_t i = 0; i < asked.size(); ++i) {
    std::vector<float> row(logits.begin() + static_cast<ptrdiff_t>(i * width),
                           logits.begin() + static_cast<ptrdiff_t>((i + 1) * width));
    if (!asked[i].bitmask.empty()) sampling::apply_token_bitmask(asked[i].bitmask, row);
    const int32_t want =
        sampling::sample(row, asked[i].params, {asked[i].prompt, asked[i].output}, scratch);
    ASSERT_EQ(tokens[i], want) << "row " << i << " of " << vocab << " tokens";
    EXPECT_EQ(latest[i], want);
    EXPECT_EQ(outputs[i * kOutputStride + asked[i].output.size()], want);
    const size_t count = i * width + static_cast<size_t>(want);
    EXPECT_EQ(counts[count], std::max(counts_before[count], 0) + 1);
  }
}

/// A row of everything, chosen by chance.
Asked random_row(RandomStream& random, int32_t vocab) {
  const auto token = [&] {
    return static_cast<int32_t>(random.below(static_cast<uint64_t>(vocab)));
  };
  Asked asked;
  sampling::Params& params = asked.params;
  params.seed = random.next();
  params.temperature = random.chance(1, 6) ? 0 : 0.3 + 1.5 * random.uniform();
  if (random.chance(1, 2)) params.top_k = static_cast<int32_t>(1 + random.below(40));
  if (random.chance(1, 2)) params.top_p = 0.05 + 0.94 * random.uniform();
  if (random.chance(1, 3)) params.min_p = 0.2 * random.uniform();
  if (random.chance(1, 3)) params.presence_penalty = 2 * random.uniform() - 1;
  if (random.chance(1, 3)) params.frequency_penalty = 2 * random.uniform() - 1;
  if (random.chance(1, 3)) params.repetition_penalty = 0.5 + random.uniform();
  for (uint64_t i = random.below(9); i > 0; --i) asked.prompt.push_back(token());
  for (uint64_t i = random.below(9); i > 0; --i) asked.output.push_back(token());
  for (uint64_t i = random.below(4); i > 0; --i) {
    params.logit_bias.emplace_back(token(), static_cast<float>(6 * random.uniform() - 3));
  }
  if (random.chance(1, 3)) {
    params.min_tokens = static_cast<int32_t>(random.below(9));
    params.masked_before_min_tokens = {token(), token(), vocab + 3};
  }
  for (uint64_t i = random.below(3); i > 0; --i) {
    std::vector<int32_t> word(
        asked.output.end() - static_cast<ptrdiff_t>(std::min<size_t>(asked.output.size(), i)),
        asked.output.end());
    word.push_back(token());
    params.bad_words.push_back(word);
  }
  if (random.chance(1, 4)) {
    for (int64_t i = 0; i < sampling::bitmask_words(vocab); ++i) {
      asked.bitmask.push_back(static_cast<int32_t>(random.next()));
    }
  }
  return asked;
}

class Sampling : public KernelTest {};
TOUCHSTONE_FOR_ALL_ELEMENTS(Sampling);

TEST_P(Sampling, EverythingAtOnceAsOnTheCpu) {
  RandomStream random(11, "sampling");
  for (const int32_t vocab : {1, 31, 33, 509, 700}) {
    std::vector<Asked> rows;
    for (int i = 0; i < 10; ++i) rows.push_back(random_row(random, vocab));
    check_rows(GetParam(), vocab,
               random_values(GetParam(), rows.size() * static_cast<size_t>(vocab), 5, 8), rows);
  }
}

TEST_P(Sampling, EqualLogitsGoByTheirIds) {
  RandomStream random(12, "ties");
  std::vector<Asked> rows(10);
  std::vector<float> logits;
  for (Asked& row : rows) {
    row.params.seed = random.next();
    row.params.top_k = static_cast<int32_t>(random.below(20));
    row.params.top_p = random.chance(1, 2) ? 1 : 0.1 + 0.1 * static_cast<double>(random.below(9));
    for (int i = 0; i < 70; ++i) logits.push_back(static_cast<float>(random.below(3)) - 1);
  }
  logits[3] = -0.0F;
  check_rows(GetParam(), 70, logits, rows);
}

TEST_P(Sampling, NothingAllowedAndNoNumbers) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<Asked> rows(6);
  rows[0].bitmask = {0};
  rows[1].params.temperature = 0;
  check_rows(GetParam(), 4, {1,   2,   3,   4,   nan,       2,         3,         4,
                             1,   nan, 3,   2,   infinity,  1,         2,         infinity,
                             nan, nan, nan, nan, -infinity, -infinity, -infinity, -infinity},
             rows);
}

TEST_P(Sampling, SharesOfDrawsFollowTheProbabilities) {
  // Probabilities 1/2, 1/4, 1/4 in the logarithm's nearest element.
  const std::vector<float> one = {std::log(2.0F), 0, 0};
  std::vector<Asked> rows(40);
  std::vector<float> logits;
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].params.seed = i;
    for (const float x : one) logits.push_back(rounded(GetParam(), x));
  }
  check_rows(GetParam(), 3, logits, rows);
}

void check_logprobs(Element element, int32_t vocab, const std::vector<int32_t>& tops) {
  const size_t width = static_cast<size_t>(vocab);
  auto logits = random_values(element, tops.size() * width, 3, 9);
  for (size_t i = 1; i < logits.size(); i += 3) logits[i] = std::round(logits[i]);  // ties
  const int64_t words = sampling::bitmask_words(vocab);
  std::vector<int32_t> mask(static_cast<size_t>(words), 0x5A5A5A5B);
  std::vector<LogprobsRow> rows;
  std::vector<int32_t> sampled = {vocab / 2};
  int64_t elements = 0;
  for (size_t i = 0; i < tops.size(); ++i) {
    LogprobsRow row;
    row.logits_row = static_cast<int32_t>(i);
    row.token = i % 2 == 0 ? static_cast<int32_t>(i) % vocab : -1;
    row.bitmask_row = i % 3 == 0 ? 0 : -1;
    row.top = std::min(tops[i], vocab);
    row.first = elements;
    elements += 1 + row.top;
    rows.push_back(row);
  }
  Elements device_logits(element, logits, "logits");
  Array<LogprobsRow> device_rows(rows, "rows");
  Array<int32_t> bitmask(mask, "bitmask");
  Array<int32_t> latest(sampled, "sampled");
  Array<int32_t> tokens(std::vector<int32_t>(static_cast<size_t>(elements), -3), "tokens");
  Array<float> values(std::vector<float>(static_cast<size_t>(elements), 9), "logprobs");
  Array<int32_t> ranks(std::vector<int32_t>(static_cast<size_t>(elements), -3), "ranks");
  expect_one_result({&tokens, &values, &ranks}, [&] {
    logprobs({.element = element,
              .num_rows = static_cast<int32_t>(rows.size()),
              .vocab_size = vocab,
              .rows = device_rows.data(),
              .logits = device_logits.bytes(),
              .logits_stride = vocab,
              .bitmasks = bitmask.data(),
              .bitmask_stride = words,
              .sampled = latest.data(),
              .tokens = tokens.data(),
              .logprobs = values.data(),
              .ranks = ranks.data()},
             nullptr);
  });
  sampling::FlatLogprobs want;
  want.resize(elements);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<float> row(logits.begin() + static_cast<ptrdiff_t>(i * width),
                           logits.begin() + static_cast<ptrdiff_t>((i + 1) * width));
    if (rows[i].bitmask_row == 0) sampling::apply_token_bitmask(mask, row);
    sampling::write_logprobs(row, rows[i].token < 0 ? sampled[0] : rows[i].token,
                             want.row(rows[i].first, 1 + rows[i].top));
  }
  EXPECT_EQ(tokens.values(), want.tokens);
  EXPECT_EQ(ranks.values(), want.ranks);
  for (size_t i = 0; i < want.logprobs.size(); ++i) {
    const float expected = want.logprobs[i];
    if (std::isinf(expected)) {
      EXPECT_EQ(values[i], expected);
    } else {
      EXPECT_NEAR(values[i], expected, 1e-6F * (1 + std::abs(expected))) << i;
    }
  }
}

TEST_P(Sampling, LogprobsAsOnTheCpu) {
  for (const int32_t vocab : {1, 31, 33, 700}) {
    check_logprobs(GetParam(), vocab, {0, 5, 20, 700});
  }
}

TEST_P(Sampling, LogprobsByHand) {
  Elements logits(GetParam(), {0, 1, 0, 1});
  const std::vector<LogprobsRow> asked = {{.token = 0, .top = 3}};
  Array<LogprobsRow> rows(asked);
  Array<int32_t> tokens(std::vector<int32_t>(4));
  Array<float> values(std::vector<float>(4));
  Array<int32_t> ranks(std::vector<int32_t>(4));
  logprobs({.element = GetParam(),
            .num_rows = 1,
            .vocab_size = 4,
            .rows = rows.data(),
            .logits = logits.bytes(),
            .logits_stride = 4,
            .tokens = tokens.data(),
            .logprobs = values.data(),
            .ranks = ranks.data()},
           nullptr);
  EXPECT_EQ(tokens.values(), (std::vector<int32_t>{0, 1, 3, 0}));
  EXPECT_EQ(ranks.values(), (std::vector<int32_t>{4, 1, 2, 3}));
  const float unlikely = -std::log(2 + 2 * std::exp(1.0F));
  for (const size_t i : {0, 3}) EXPECT_NEAR(values[i], unlikely, 1e-6);
  for (const size_t i : {1, 2}) EXPECT_NEAR(values[i], 1 + unlikely, 1e-6);
}

}  // namespace
}  // namespace touchstone::backend::cuda
