#include "reference_engine/sampling/logprobs.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "reference_engine/sampling/exponential.h"
#include "reference_engine/sampling/likelihood.h"

namespace touchstone::sampling {
namespace {

double log_sum_exp(std::span<const float> logits, float top) {
  std::vector<double> weights(logits.size());
  exponentials(logits, top, 1.0, weights);
  return static_cast<double>(top) + std::log(ordered_sum(weights));
}

}  // namespace

int64_t logprob_row_size(int32_t top, int32_t vocab_size) {
  return 1 + int64_t{std::clamp(top, 0, vocab_size)};
}

void FlatLogprobs::resize(int64_t elements) {
  tokens.resize(static_cast<size_t>(elements));
  logprobs.resize(static_cast<size_t>(elements));
  ranks.resize(static_cast<size_t>(elements));
}

LogprobRow FlatLogprobs::row(int64_t first, int64_t size) {
  const size_t at = static_cast<size_t>(first);
  const size_t count = static_cast<size_t>(size);
  BASE_CHECK(first >= 0 && size >= 0 && at + count <= tokens.size(), first, " ", size);
  return {std::span(tokens).subspan(at, count), std::span(logprobs).subspan(at, count),
          std::span(ranks).subspan(at, count)};
}

std::vector<TokenLogprob> FlatLogprobs::copy_row(int64_t first, int64_t size) const {
  std::vector<TokenLogprob> copy;
  for (size_t i = static_cast<size_t>(first); i < static_cast<size_t>(first + size); ++i) {
    copy.push_back({tokens.at(i), logprobs[i], ranks[i]});
  }
  return copy;
}

void write_logprobs(std::span<const float> logits, int32_t token, const LogprobRow& row) {
  BASE_CHECK(in_vocabulary(token, logits), token);
  BASE_CHECK(!row.tokens.empty() && row.tokens.size() <= logits.size() + 1, row.tokens.size());
  const double normaliser = log_sum_exp(logits, logits[static_cast<size_t>(argmax(logits))]);
  const auto write = [&](size_t at, int32_t id, int32_t rank) {
    row.tokens[at] = id;
    row.logprobs[at] =
        static_cast<float>(static_cast<double>(logits[static_cast<size_t>(id)]) - normaliser);
    row.ranks[at] = rank;
  };
  // vLLM's rank: how many are at least as likely, so equals share the worst of their ranks.
  const float own = logits[static_cast<size_t>(token)];
  const auto rank = std::count_if(logits.begin(), logits.end(), [&](float x) { return x >= own; });
  write(0, token, static_cast<int32_t>(std::max<ptrdiff_t>(1, rank)));
  const size_t count = row.tokens.size() - 1;
  if (count == 0) return;
  std::vector<int32_t> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
  std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(count), order.end(),
                    MoreLikely{logits});
  for (size_t i = 0; i < count; ++i) write(i + 1, order[i], static_cast<int32_t>(i) + 1);
}

}  // namespace touchstone::sampling
