// Requests played on a backend as an engine would: prefix sharing, chunks, preemption, one plan
// after the other or one ahead. What they yield is compared between backends and ways.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "reference_engine/backend/backend.h"

namespace touchstone::backend {

/// What a request yielded.
struct Yield {
  std::vector<int32_t> tokens;
  std::vector<std::vector<sampling::TokenLogprob>> logprobs;         // per token
  std::vector<std::vector<sampling::TokenLogprob>> prompt_logprobs;  // per position from 1 on
};
/// Bits and all.
bool same(const Yield& a, const Yield& b);

struct Job {
  sampling::Params params;
  std::vector<int32_t> prompt;
  size_t num_tokens = 0;
  std::vector<int32_t> bitmask = {};  // the same for every token; empty: none
};

enum class Pace { kOneByOne, kOneAhead };

/// Runs the jobs together on a backend with KV memory of `blocks` blocks of `block_size` tokens.
/// `seed` decides how prompts are cut, who computes in which plan, and who is preempted when.
std::vector<Yield> play(Backend& backend, const std::vector<Job>& jobs, int32_t blocks,
                        int32_t block_size, Pace pace, uint64_t seed);

/// Random jobs over a vocabulary: greedy and seeded, penalties, log-probabilities, bitmasks.
std::vector<Job> random_jobs(uint64_t seed, size_t count, int32_t vocab_size);

}  // namespace touchstone::backend
