// Log-probabilities as flat arrays: rows of (token, log-probability, rank), the token asked about
// first, then the most likely ones in order. Flat, so that they cross a C interface as they are.
// Source of the layout: vLLM 0.32 vllm/logprobs.py (FlatLogprobs). Thread-compatible.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace touchstone::sampling {

struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;
  int32_t rank = 0;  ///< 1 = most likely
  bool operator==(const TokenLogprob&) const = default;
};

/// One row's place in somebody's arrays. All three have the same length.
struct LogprobRow {
  std::span<int32_t> tokens;
  std::span<float> logprobs;
  std::span<int32_t> ranks;
};

/// Elements of a row that names the `top` most likely tokens of `vocab_size`.
int64_t logprob_row_size(int32_t top, int32_t vocab_size);

struct FlatLogprobs {
  std::vector<int32_t> tokens;
  std::vector<float> logprobs;
  std::vector<int32_t> ranks;

  void resize(int64_t elements);
  /// REQUIRES: [first, first + size) lies within the arrays.
  LogprobRow row(int64_t first, int64_t size);
  std::vector<TokenLogprob> copy_row(int64_t first, int64_t size) const;
};

/// Fills `row`: `token` and the row.tokens.size() - 1 most likely ones. `logits`: (vocab) f32.
/// REQUIRES: 1 <= row size <= vocab + 1.
void write_logprobs(std::span<const float> logits, int32_t token, const LogprobRow& row);

}  // namespace touchstone::sampling
