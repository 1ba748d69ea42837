// The prefix cache's hash chain over full blocks.
// Source: vLLM V1 v1/core/kv_cache_utils.py (hash of parent, token ids, extra keys; full blocks
// only). The first 128 bits of SHA-256: whoever chooses the tokens of one request cannot make them
// pass for another's. vLLM's own bytes are not reproducible outside Python; only equality matters.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "reference_engine/scheduler/types.h"

namespace touchstone::scheduler {

/// What must separate equal tokens.
struct ChainKeys {
  std::string_view cache_salt = {};
  std::string_view adapter = {};  ///< what tells its weights from all others; empty: none
};

/// Thread-compatible; keeps its buffers, so that a hash allocates nothing.
class ChainHasher final {
 public:
  /// The parent of block 0.
  BlockHash root(const ChainKeys& keys);
  /// The hash of the block `tokens` after `parent`. REQUIRES: tokens is one full block.
  BlockHash next(const BlockHash& parent, std::span<const TokenId> tokens);

 private:
  BlockHash finish();
  Sha256 sha_;
};

BlockHash root_hash(const ChainKeys& keys);
/// Hashes of all full blocks of `tokens`; the partial last block has none.
std::vector<BlockHash> hash_blocks(const ChainKeys& keys, std::span<const TokenId> tokens,
                                   int32_t block_size);
/// Fills the fields of `request` that describe its prompt: length, hashes, tail, chain root.
void set_prompt(NewRequest& request, const ChainKeys& keys, std::span<const TokenId> tokens,
                int32_t block_size);

/// As records show it: 32 hex digits.
std::string to_hex(const BlockHash& hash);
/// The inverse; nullopt when `text` is none.
std::optional<BlockHash> parse_block_hash(std::string_view text);

/// For content that is known by numbers instead of tokens, as a simulator's: hashes of the blocks
/// [first, first + hashes.size()) of what `number` names in `space`. Equal where all three are.
/// Cheap: nobody chooses such numbers to collide.
void numbered_hashes(uint64_t space, uint64_t number, uint64_t first, std::span<BlockHash> hashes);

}  // namespace touchstone::scheduler
