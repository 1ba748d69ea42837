// What the scheduler keeps of one request. Pure data; owned by the scheduler.
// num_computed_tokens <= num_tokens; blocks cover at least num_computed_tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "reference_engine/scheduler/types.h"

namespace touchstone::scheduler {

struct Request {
  enum class Status { kWaiting, kRunning, kPreempted, kFinished };

  // Read at every step of a running request, so kept together.
  RequestId id = 0;
  int32_t num_computed_tokens = 0;
  int32_t num_tokens = 0;         ///< prompt and output so far
  int32_t num_hashed_blocks = 0;  ///< leading blocks whose hash the pool knows
  int32_t num_prompt_tokens = 0;
  int32_t max_tokens = 0;
  int32_t min_tokens = 0;
  std::vector<BlockId> blocks;
  Status status = Status::kWaiting;
  bool ignore_eos = false;
  bool skip_reading_prefix_cache = false;
  bool extends_hashes = false;  ///< sampled tokens make new hashes
  bool admitted_before = false;

  int64_t priority = 0;
  int64_t arrival_ns = 0;
  std::vector<BlockHash> hashes;  ///< of full blocks, as far as known; never shrinks
  std::vector<TokenId> tail;      ///< tokens after the last hash; with extends_hashes only
  BlockHash chain_root;
  std::vector<TokenId> eos_token_ids;
  std::vector<TokenId> stop_token_ids;

  // Whose turn it is among the waiting; used by the policy that queues it.
  Request* previous = nullptr;
  Request* next = nullptr;
  size_t heap_position = 0;

  int32_t slot = 0;  ///< its place in the scheduler's storage
  int32_t num_output_tokens() const { return num_tokens - num_prompt_tokens; }
};

}  // namespace touchstone::scheduler
