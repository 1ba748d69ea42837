// What the scheduler keeps of one request, and the table of all requests. Owned by the scheduler.
// num_computed_tokens <= num_tokens + num_output_placeholders; blocks cover the computed tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "reference_engine/scheduler/flat_index.h"
#include "reference_engine/scheduler/types.h"

namespace touchstone::scheduler {

struct Request {
  enum class Status { kWaiting, kRunning, kPreempted, kFinished };

  // Read at every step of a running request, so kept together.
  RequestId id = 0;
  int32_t num_computed_tokens = 0;      ///< those of plans in flight included
  int32_t num_tokens = 0;               ///< prompt and output so far
  int32_t num_output_placeholders = 0;  ///< tokens that plans in flight will yield
  int32_t num_tokens_in_flight = 0;     ///< computed by plans in flight
  int32_t plans_in_flight = 0;          ///< of which it is a part
  int32_t num_hashed_blocks = 0;        ///< leading blocks whose hash the pool knows
  int32_t num_window_blocks = 0;        ///< leading null blocks: outside of the sliding window
  int32_t num_prompt_tokens = 0;
  int32_t max_tokens = 0;
  int32_t min_tokens = 0;
  int32_t length_limit = 0;  ///< of num_tokens, by max_tokens and the model's length
  std::vector<BlockId> blocks;
  Status status = Status::kWaiting;
  bool ignore_eos = false;
  bool skip_reading_prefix_cache = false;
  bool extends_hashes = false;  ///< sampled tokens make new hashes
  bool admitted_before = false;
  bool ready = true;
  bool deferred = false;  ///< counted as State::waiting_deferred

  int32_t adapter = 0;
  int64_t priority = 0;
  int64_t arrival_ns = 0;
  std::vector<BlockHash> hashes;  ///< of full blocks, as far as known or made; never shrinks
  std::shared_ptr<const HashSource> hash_source;  ///< makes the rest of them; may be null
  std::vector<TokenId> tail;  ///< tokens after the last hash; with extends_hashes only
  BlockHash chain_root;
  std::vector<TokenId> eos_token_ids;
  std::vector<TokenId> stop_token_ids;

  // Whose turn it is among the waiting; used by the policy that queues it.
  Request* previous = nullptr;
  Request* next = nullptr;
  size_t heap_position = 0;

  int32_t slot = 0;  ///< its place in the table
  int32_t num_output_tokens() const { return num_tokens - num_prompt_tokens; }
  size_t num_hashes() const { return hash_source ? hash_source->size() : hashes.size(); }
};

/// Requests by id, at stable addresses that are used again. Thread-compatible.
class RequestTable final {
 public:
  /// Null when the id is not known.
  Request* find(RequestId id);
  const Request* find(RequestId id) const { return const_cast<RequestTable*>(this)->find(id); }
  /// A request with this id and everything else at its default. REQUIRES: the id is not known.
  Request& add(RequestId id);
  /// The id is not known any more; the request itself lives until recycle().
  void forget(const Request& request);
  /// REQUIRES: forgotten, holds no blocks, stands in no queue and in no plan.
  void recycle(Request& request);
  size_t size() const { return by_id_.size(); }

 private:
  std::deque<Request> storage_;
  std::vector<int32_t> free_slots_;
  FlatIndex by_id_;
};

}  // namespace touchstone::scheduler
