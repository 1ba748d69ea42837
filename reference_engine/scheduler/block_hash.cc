#include "reference_engine/scheduler/block_hash.h"

#include <array>

#include "base/check.h"
#include "base/ids.h"

namespace touchstone::scheduler {
namespace {

// Odd constants with balanced bits; the two lanes share none, so that a collision of one says
// nothing about the other.
constexpr uint64_t kRootKey[2] = {0x9e3779b97f4a7c15u, 0xc2b2ae3d27d4eb4fu};
constexpr uint64_t kMultiplier[2] = {0xff51afd7ed558ccdu, 0x9fb21c651e98df25u};
constexpr uint64_t kFinal[2] = {0xc4ceb9fe1a85ec53u, 0xd6e8feb86659fd93u};

/// A bijection of `state` for each `word` and of `word` for each `state`: one differing word
/// always changes the state.
uint64_t absorb(uint64_t state, uint64_t word, uint64_t multiplier) {
  state = (state ^ word) * multiplier;
  return state ^ (state >> 29);
}

uint64_t finish(uint64_t state, uint64_t length, uint64_t key) {
  state = (state ^ length) * key;
  state ^= state >> 32;
  state *= key;
  return state ^ (state >> 29);
}

}  // namespace

BlockHash root_hash(std::string_view extra) {
  BlockHash hash;
  for (size_t lane = 0; lane < 2; ++lane) {
    uint64_t state = kRootKey[lane];
    for (const char c : extra) {
      state = absorb(state, static_cast<unsigned char>(c), kMultiplier[lane]);
    }
    hash.words[lane] = finish(state, extra.size(), kFinal[lane]);
  }
  return hash;
}

BlockHash chain_hash(const BlockHash& parent, std::span<const TokenId> tokens) {
  // Both words of the parent enter both lanes: 128 bits of history decide each of them.
  uint64_t a = absorb(parent.words[0], parent.words[1], kMultiplier[0]);
  uint64_t b = absorb(parent.words[1], parent.words[0], kMultiplier[1]);
  for (const TokenId token : tokens) {
    const uint64_t word = static_cast<uint32_t>(token);
    a = absorb(a, word, kMultiplier[0]);
    b = absorb(b, word, kMultiplier[1]);
  }
  return {{finish(a, tokens.size(), kFinal[0]), finish(b, tokens.size(), kFinal[1])}};
}

std::vector<BlockHash> hash_blocks(std::string_view extra, std::span<const TokenId> tokens,
                                   int32_t block_size) {
  BASE_CHECK(block_size > 0, block_size);
  const size_t size = static_cast<size_t>(block_size);
  std::vector<BlockHash> hashes;
  hashes.reserve(tokens.size() / size);
  BlockHash parent = root_hash(extra);
  for (size_t begin = 0; begin + size <= tokens.size(); begin += size) {
    parent = chain_hash(parent, tokens.subspan(begin, size));
    hashes.push_back(parent);
  }
  return hashes;
}

void set_prompt(NewRequest& request, std::string_view extra, std::span<const TokenId> tokens,
                int32_t block_size) {
  request.num_prompt_tokens = static_cast<int32_t>(tokens.size());
  request.block_hashes = hash_blocks(extra, tokens, block_size);
  const size_t hashed = request.block_hashes.size() * static_cast<size_t>(block_size);
  request.unhashed_tail.assign(tokens.begin() + static_cast<std::ptrdiff_t>(hashed), tokens.end());
  request.chain_root = root_hash(extra);
}

std::string to_hex(const BlockHash& hash) {
  std::array<uint8_t, 16> bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<uint8_t>(hash.words[i / 8] >> (56 - 8 * (i % 8)));
  }
  return touchstone::to_hex(bytes.data(), bytes.size());
}

std::optional<BlockHash> parse_block_hash(std::string_view text) {
  std::array<uint8_t, 16> bytes{};
  if (!from_hex(text, bytes.data(), bytes.size())) return std::nullopt;
  BlockHash hash;
  for (size_t i = 0; i < bytes.size(); ++i) {
    hash.words[i / 8] = hash.words[i / 8] << 8 | bytes[i];
  }
  return hash;
}

}  // namespace touchstone::scheduler
