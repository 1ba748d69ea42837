#include "reference_engine/scheduler/block_hash.h"

#include <array>
#include <cstring>

#include "base/check.h"
#include "base/ids.h"

namespace touchstone::scheduler {
namespace {

/// Begins the message of a root; that of a block begins with a hash, which nobody can make this.
constexpr std::string_view kRootTag = "touchstone root 1";

std::string_view bytes_of(const void* data, size_t size) {
  return {static_cast<const char*>(data), size};
}

uint64_t mix(uint64_t word) {
  word = (word ^ (word >> 32)) * 0xd6e8feb86659fd93u;
  word = (word ^ (word >> 32)) * 0xd6e8feb86659fd93u;
  return word ^ (word >> 32);
}

}  // namespace

BlockHash ChainHasher::root(const ChainKeys& keys) {
  sha_.update(kRootTag);
  for (const std::string_view key : {keys.adapter, keys.cache_salt}) {
    const uint64_t size = key.size();  // so that no part of one key passes for the other's
    sha_.update(bytes_of(&size, sizeof size));
    sha_.update(key);
  }
  return finish();
}

BlockHash ChainHasher::next(const BlockHash& parent, std::span<const TokenId> tokens) {
  sha_.update(bytes_of(parent.words.data(), sizeof parent.words));
  sha_.update(bytes_of(tokens.data(), tokens.size_bytes()));
  return finish();
}

BlockHash ChainHasher::finish() {
  const Sha256Digest digest = sha_.finish();
  BlockHash hash;
  static_assert(sizeof digest >= sizeof hash.words);
  std::memcpy(hash.words.data(), digest.data(), sizeof hash.words);
  return hash;
}

BlockHash root_hash(const ChainKeys& keys) { return ChainHasher().root(keys); }

std::vector<BlockHash> hash_blocks(const ChainKeys& keys, std::span<const TokenId> tokens,
                                   int32_t block_size) {
  BASE_CHECK(block_size > 0, block_size);
  const size_t size = static_cast<size_t>(block_size);
  std::vector<BlockHash> hashes;
  hashes.reserve(tokens.size() / size);
  ChainHasher hasher;
  BlockHash parent = hasher.root(keys);
  for (size_t begin = 0; begin + size <= tokens.size(); begin += size) {
    parent = hasher.next(parent, tokens.subspan(begin, size));
    hashes.push_back(parent);
  }
  return hashes;
}

void set_prompt(NewRequest& request, const ChainKeys& keys, std::span<const TokenId> tokens,
                int32_t block_size) {
  request.num_prompt_tokens = static_cast<int32_t>(tokens.size());
  request.block_hashes = hash_blocks(keys, tokens, block_size);
  const size_t hashed = request.block_hashes.size() * static_cast<size_t>(block_size);
  request.unhashed_tail.assign(tokens.begin() + static_cast<std::ptrdiff_t>(hashed), tokens.end());
  request.chain_root = root_hash(keys);
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

void numbered_hashes(uint64_t space, uint64_t number, uint64_t first, std::span<BlockHash> hashes) {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15u;
  // Equal second words have equal sums; then the first words differ by space and index.
  const uint64_t second = number + space * kOdd;
  const uint64_t start = mix(second) + mix(space);
  for (size_t i = 0; i < hashes.size(); ++i) {
    hashes[i] = {{mix(start + (first + i) * kOdd), second}};
  }
}

}  // namespace touchstone::scheduler
