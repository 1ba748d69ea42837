// The prefix cache's hash chain over full blocks.
// Source: vLLM V1 v1/core/kv_cache_utils.py (hash of parent, token ids, extra keys; full blocks
// only). The hash function is ours (128 bits, two independently keyed 64-bit mixes), because
// vLLM's default is not reproducible outside Python; only equality matters. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reference_engine/scheduler/types.h"

namespace touchstone::scheduler {

/// The start of a chain; `extra` is what must separate equal tokens (LoRA name, cache salt).
BlockHash root_hash(std::string_view extra);
/// The hash of the block `tokens` after `parent`. REQUIRES: tokens is one full block.
BlockHash chain_hash(const BlockHash& parent, std::span<const TokenId> tokens);
/// Hashes of all full blocks of `tokens`; the partial last block has none.
std::vector<BlockHash> hash_blocks(std::string_view extra, std::span<const TokenId> tokens,
                                   int32_t block_size);
/// Fills the fields of `request` that describe its prompt: length, hashes, tail, chain root.
void set_prompt(NewRequest& request, std::string_view extra, std::span<const TokenId> tokens,
                int32_t block_size);

/// As records show it: 32 hex digits.
std::string to_hex(const BlockHash& hash);
/// The inverse; nullopt when `text` is none.
std::optional<BlockHash> parse_block_hash(std::string_view text);

}  // namespace touchstone::scheduler
