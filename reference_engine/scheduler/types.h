// Vocabulary of the scheduler. Values; pure.
// Lengths of a request are ordered: 0 <= num_computed_tokens <= num_tokens <= max_model_len, where
// num_tokens counts tokens that plans in flight will yield (placeholders).
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
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
  // Not the array's, which would call memcmp for each comparison.
  bool operator==(const BlockHash& other) const {
    return words[0] == other.words[0] && words[1] == other.words[1];
  }
  auto operator<=>(const BlockHash& other) const { return words <=> other.words; }
};

/// Makes the hashes of a request's blocks when the scheduler needs them, so that a request that
/// waits holds none. Immutable.
class HashSource {
 public:
  virtual ~HashSource() = default;
  /// Full blocks of prompt and output whose hash it knows.
  virtual size_t size() const = 0;
  /// Appends those of blocks [hashes.size(), count). REQUIRES: count <= size().
  virtual void extend(std::vector<BlockHash>& hashes, size_t count) const = 0;
};

/// What the scheduler needs to know of a request. It never sees text.
struct NewRequest {
  RequestId id = 0;
  int64_t arrival_ns = 0;         ///< orders equal priorities
  int64_t priority = 0;           ///< lower is sooner; used by Policy::kPriority only
  int32_t num_prompt_tokens = 0;  ///< REQUIRES 1 <= num_prompt_tokens < max_model_len
  int32_t max_tokens = 0;         ///< REQUIRES >= 1
  int32_t min_tokens = 0;         ///< REQUIRES num_prompt_tokens + min_tokens <= max_model_len
  int32_t adapter = 0;            ///< one id per adapter; 0: none
  /// False: it keeps its place but is passed over until Scheduler::ready(), as while its grammar
  /// is compiled or its blocks come from elsewhere.
  bool ready = true;
  bool ignore_eos = false;
  std::vector<TokenId> eos_token_ids = {};
  std::vector<TokenId> stop_token_ids = {};
  /// Hashes of the prompt's full blocks (hash_blocks()); may be empty: nothing is shared.
  /// A simulator that knows the whole chain, outputs included, gives it all.
  std::vector<BlockHash> block_hashes = {};
  /// Instead of block_hashes. Shared, since the choices of one prompt have one source.
  std::shared_ptr<const HashSource> hash_source = {};
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
  /// Reaches the end of what is known or in flight: the step yields a token for it.
  bool samples_token = false;
  /// Its last token is the one that the plan in flight yields, so not known yet.
  bool ends_in_placeholder = false;
  int32_t adapter = 0;            ///< 0: none
  bool first_schedule = false;    ///< leaves the queue for the first time
  bool resumed = false;           ///< comes back after a preemption
  int32_t num_cached_tokens = 0;  ///< prefix-cache hit when admitted in this step, else 0
  /// When admitted in this step: tokens after the hit that come from outside (external_kv.h).
  int32_t num_external_tokens = 0;
  /// Blocks of the sequence in order; valid until the next call of the scheduler.
  std::span<const BlockId> block_table = {};
};

struct StepPlan {
  int64_t step = 0;  ///< 0, 1, 2, … counts schedule() calls that scheduled something
  std::vector<ScheduledRequest> scheduled;  ///< running order
  /// In order of preemption, since the last plan that scheduled something. When a pass over the
  /// running requests only preempts, schedule() makes another one at once, so a request may stand
  /// here and in `scheduled`.
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
  /// Of its full blocks, as far as known; valid until the next complete().
  std::span<const BlockHash> block_hashes = {};
};

/// Prefix-cache and preemption counters, vLLM's meaning: first admissions only, in tokens.
struct Counters {
  int64_t prefix_cache_queries = 0;
  int64_t prefix_cache_hits = 0;
  int64_t preemptions = 0;
  int64_t external_tokens = 0;  ///< of all admissions: had from outside instead of computed
};

struct State {
  int64_t running = 0;
  int64_t waiting = 0;
  /// Of those, the ones that are not ready or found no slot for their adapter.
  int64_t waiting_deferred = 0;
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
