// Vocabulary of the scheduler. Values; pure.
// Lengths of a request are ordered: 0 <= num_computed_tokens <= num_tokens <= max_model_len.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace touchstone::scheduler {

using RequestId = uint64_t;  ///< given by the owner, unique for the scheduler's life
using BlockId = int32_t;     ///< 0 is the null block, never handed out
using TokenId = int32_t;

inline constexpr BlockId kNullBlock = 0;

/// Identity of the content of one full block and everything before it (a hash chain).
struct BlockHash {
  std::array<uint64_t, 2> words{};
  auto operator<=>(const BlockHash&) const = default;
  bool operator==(const BlockHash& other) const {  // the default one calls memcmp
    return words[0] == other.words[0] && words[1] == other.words[1];
  }
};

enum class Policy { kFcfs, kPriority };

struct Config {
  int64_t num_blocks = 0;   ///< block 0 included, so num_blocks - 1 can be handed out
  int32_t block_size = 16;  ///< tokens per block
  int32_t max_num_seqs = 128;
  int32_t max_num_batched_tokens = 2048;
  int32_t max_model_len = 2048;
  int32_t long_prefill_token_threshold = 0;  ///< 0: off
  bool enable_prefix_caching = true;
  bool enable_chunked_prefill = true;
  bool reserve_full_prompt = true;  ///< vLLM's --scheduler-reserve-full-isl
  int64_t watermark_blocks = 0;     ///< int(watermark * num_blocks)
  Policy policy = Policy::kFcfs;
};

/// What the scheduler needs to know of a request. It never sees text.
struct NewRequest {
  RequestId id = 0;
  int64_t arrival_ns = 0;         ///< orders equal priorities
  int64_t priority = 0;           ///< lower is sooner; used by Policy::kPriority only
  int32_t num_prompt_tokens = 0;  ///< REQUIRES 1 <= num_prompt_tokens < max_model_len
  int32_t max_tokens = 0;         ///< REQUIRES >= 1
  int32_t min_tokens = 0;         ///< REQUIRES num_prompt_tokens + min_tokens <= max_model_len
  bool ignore_eos = false;
  std::vector<TokenId> eos_token_ids = {};
  std::vector<TokenId> stop_token_ids = {};
  /// Hashes of the prompt's full blocks (hash_blocks()); may be empty: nothing is shared.
  /// A simulator that knows the whole chain, outputs included, gives it all.
  std::vector<BlockHash> block_hashes = {};
  /// Tokens after the last hashed block. When hashed blocks and tail are the whole prompt, blocks
  /// filled by decoding get hashes too; otherwise blocks after `block_hashes` are never shared.
  std::vector<TokenId> unhashed_tail = {};
  /// root_hash() of the chain: the parent of block 0. Needed with a tail and no hashed block yet;
  /// set_prompt() of block_hash.h fills these three fields.
  BlockHash chain_root = {};
  bool skip_reading_prefix_cache = false;  ///< never hit; prompt_logprobs wants it
};

enum class FinishReason { kStop, kLength, kAbort, kError };
const char* to_string(FinishReason reason);  // "stop", "length", "abort", "error"

/// One request's share of a step. As in vLLM, a block counts as cached from the step that fills it:
/// a request admitted in this plan may read blocks that an *earlier* entry of the same plan
/// computes. A runner therefore writes keys and values of a layer for the whole step before
/// attention of that layer reads them, or computes the entries in order.
struct ScheduledRequest {
  RequestId id = 0;
  int32_t num_computed_tokens = 0;  ///< before this step: position of its first token
  int32_t num_scheduled_tokens = 0;
  int32_t num_prompt_tokens = 0;  ///< those before are prefill, those from there on decode
  /// num_computed + num_scheduled == num_tokens: the step yields a token for it.
  bool samples_token = false;
  bool first_schedule = false;    ///< leaves the queue for the first time
  bool resumed = false;           ///< comes back after a preemption
  int32_t num_cached_tokens = 0;  ///< prefix-cache hit when admitted in this step, else 0
  /// Blocks of the sequence in order; valid until the next call of the scheduler.
  std::span<const BlockId> block_table = {};
};

struct StepPlan {
  int64_t step = 0;  ///< 0, 1, 2, … counts schedule() calls that scheduled something
  std::vector<ScheduledRequest> scheduled;  ///< running order
  /// In order of preemption. When a pass over the running requests only preempts, schedule()
  /// makes another one at once, so a request may stand here and in `scheduled`.
  std::vector<RequestId> preempted;
  int32_t total_tokens = 0;
};

/// What the model made of one scheduled request with samples_token.
struct SampledToken {
  RequestId id = 0;
  TokenId token = 0;
  /// The runner found a stop string with this token: finish with kStop.
  bool stop_string = false;
};

struct FinishedRequest {
  RequestId id = 0;
  FinishReason reason = FinishReason::kStop;
  std::optional<TokenId> stop_token;  ///< the entry of stop_token_ids that ended it
  /// Of its full blocks, as far as known; valid until the next call of the scheduler.
  std::span<const BlockHash> block_hashes = {};
};

/// Prefix-cache and preemption counters, vLLM's meaning: first admissions only, in tokens.
struct Counters {
  int64_t prefix_cache_queries = 0;
  int64_t prefix_cache_hits = 0;
  int64_t preemptions = 0;
};

struct State {
  int64_t running = 0;
  int64_t waiting = 0;
  int64_t free_blocks = 0;    ///< reference count 0 (cached ones included)
  int64_t cached_blocks = 0;  ///< of those, the ones whose content can still be hit
  int64_t total_blocks = 0;   ///< num_blocks - 1
  /// 1 - free / total, vLLM's vllm:kv_cache_usage_perc.
  double kv_cache_usage() const {
    return total_blocks == 0
               ? 0.0
               : 1.0 - static_cast<double>(free_blocks) / static_cast<double>(total_blocks);
  }
};

}  // namespace touchstone::scheduler
