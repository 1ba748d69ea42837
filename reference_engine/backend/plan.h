// One step as the backend sees it: which tokens of which requests to compute, and what comes back.
// Values; the spans of a Plan are borrowed for the call they are passed to.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "reference_engine/sampling/logprobs.h"

namespace touchstone::backend {

using RequestId = uint64_t;
using BlockId = int32_t;

/// Stands for the token that the plan in flight samples for the same request.
inline constexpr int32_t kTokenInFlight = -1;

/// One request's share of a step.
struct Entry {
  RequestId request_id = 0;  ///< REQUIRES: begun, not ended
  /// Tokens to compute, at positions [first_position, first_position + tokens.size()). The last one
  /// may be kTokenInFlight.
  std::span<const int32_t> tokens = {};
  int32_t first_position = 0;
  /// Blocks that hold positions [0, first_position + tokens.size()), in order; position p lives in
  /// block_table[p / block_size] at slot p % block_size. Positions before first_position were
  /// computed by an earlier plan, or are computed by an *earlier entry of this plan* (same-step
  /// sharing: the scheduler counts a block as cached from the step that fills it). So a backend
  /// writes keys and values of a layer for all entries before attention of that layer reads any,
  /// or computes the entries in order.
  std::span<const BlockId> block_table = {};
  /// Weights of an adapter, in [0, BackendOptions::adapter_slots); absent: the base model.
  std::optional<int32_t> adapter_slot = {};
  /// Sample one token after the last of `tokens`.
  bool sample = false;
  /// Log-probabilities of the sampled token and of this many most likely ones; absent: none.
  std::optional<int32_t> logprobs = {};
  /// Which tokens may be sampled, sampling::bitmask_words(vocab) words; empty: all.
  std::span<const int32_t> token_bitmask = {};
  /// Log-probabilities of prompt tokens: row k of `num_prompt_rows` is of the prompt's token at
  /// first_position + k + 1, given all before it, and of the `prompt_logprobs` most likely ones.
  /// REQUIRES: those positions lie in the prompt; num_prompt_rows <= tokens.size().
  int32_t num_prompt_rows = 0;
  int32_t prompt_logprobs = 0;
};

struct Plan {
  std::span<const Entry> entries;
};

/// What one plan yielded, in its order.
class Outputs final {
 public:
  /// Makes room for what `plan` asks for. The rows of an entry lie one after the other, those of
  /// the prompt first, then the sampled token's: the order of plugin.h's flat arrays.
  void lay_out(const Plan& plan, int32_t vocab_size);

  size_t size() const { return tokens.size(); }
  /// Empty when the entry asked for none.
  std::vector<sampling::TokenLogprob> sampled_logprobs(size_t entry) const;
  /// Row `k` in [0, Entry::num_prompt_rows).
  std::vector<sampling::TokenLogprob> prompt_logprobs(size_t entry, int64_t k) const;
  int64_t num_prompt_rows(size_t entry) const { return rows_[entry].num_prompt_rows; }
  /// Where a backend writes them.
  sampling::LogprobRow sampled_row(size_t entry);
  sampling::LogprobRow prompt_row(size_t entry, int64_t k);

  std::vector<int32_t> tokens;  ///< the sampled ones; unspecified without Entry::sample
  sampling::FlatLogprobs logprobs;

 private:
  struct Rows {
    int64_t first = 0;  // element of the first row
    int64_t num_prompt_rows = 0;
    int64_t prompt_row_size = 0;
    int64_t sampled_row_size = 0;  // 0: none
  };
  std::vector<Rows> rows_;
};

}  // namespace touchstone::backend
