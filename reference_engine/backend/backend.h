// The contract between the engine and what computes: paged KV in, sampled tokens out.
// Implementations: cpu/ (this build) and cuda/ (a plugin loaded at run time). One thread calls a
// backend; it may use threads of its own. Batch invariance (INV-5): what a sequence yields does not
// depend on the other sequences of the step, on how its prompt was cut into steps, or on which
// blocks it was given.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "reference_engine/sampling/params.h"
#include "reference_engine/sampling/sampler.h"

namespace touchstone::backend {

using BlockId = int32_t;

/// One sequence's share of a step.
struct SequenceStep {
  uint64_t request_id = 0;
  /// Tokens to compute, at positions [first_position, first_position + tokens.size()).
  std::span<const int32_t> tokens;
  int32_t first_position = 0;
  /// Blocks that hold positions [0, first_position + tokens.size()), in order; position p lives in
  /// block_table[p / block_size] at slot p % block_size. Positions before first_position are there.
  std::span<const BlockId> block_table;
  /// Sample one token after the last of `tokens`.
  bool sample = false;
  const sampling::Params* params = nullptr;  ///< REQUIRES non-null when `sample`
  sampling::History history;                 ///< before the token to be sampled
  /// Wanted: log-probabilities of each of `tokens` given those before it (prompt_logprobs); the
  /// entry of position 0 is empty.
  bool prompt_logprobs = false;
};

struct SequenceOutput {
  sampling::Sampled sampled;  ///< unspecified unless SequenceStep::sample
  /// With prompt_logprobs: for each of `tokens`, log-probabilities of the *next* prompt token are
  /// attached to that next token; `[i]` belongs to the token at first_position + i + 1.
  std::vector<std::vector<sampling::TokenLogprob>> prompt_logprobs;
};

struct ModelInfo {
  std::string architecture;  ///< "LlamaForCausalLM"
  int32_t vocab_size = 0;
  int32_t max_position_embeddings = 0;
  int32_t num_layers = 0;
  int32_t hidden_size = 0;
  int32_t num_heads = 0;
  int32_t num_kv_heads = 0;
  int32_t head_dim = 0;
  int64_t num_parameters = 0;
  int64_t weight_bytes = 0;
  std::string dtype;    ///< "bfloat16", "float32"
  std::string kernels;  ///< "avx512", "avx2", "portable"
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual const ModelInfo& model() const = 0;
  /// Bytes of keys and values of one block of `block_size` tokens over all layers.
  virtual int64_t kv_block_bytes(int32_t block_size) const = 0;
  /// Takes memory for `num_blocks` blocks (block 0, the null block, included). Once, before
  /// execute(). ERRORS: kUnavailable with bytes needed when there is not enough memory.
  virtual Status allocate_kv(int64_t num_blocks, int32_t block_size) = 0;
  /// Runs one step. `outputs` is resized to sequences.size(), same order.
  /// ERRORS: kUnavailable when the device failed for good: the engine then fails every request
  /// and the process exits 3.
  virtual Status execute(std::span<const SequenceStep> sequences,
                         std::vector<SequenceOutput>& outputs) = 0;
};

}  // namespace touchstone::backend
