// Byte-pair merging of one word. A word starts as its bytes, or as its characters; a merge is a
// pair of token ids with a rank. Source: huggingface/tokenizers 0.23 models/bpe. Immutable after
// build; thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace touchstone::tokenizer {

/// Lookup by string_view without making a string.
struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
template <typename V>
using StringMap = std::unordered_map<std::string, V, StringHash, std::equal_to<>>;

struct BpeOptions {
  /// What is merged at first. SentencePiece's vocabularies are of characters.
  enum class Units { kBytes, kCharacters };
  Units units = Units::kBytes;
  /// Whether a word that is a token is that token, whatever the merges say (ignore_merges).
  enum class WholeWords { kMerge, kLookUpFirst };
  WholeWords whole_words = WholeWords::kMerge;
  /// Characters that are no token become the tokens <0xHH> of their bytes, if all of them exist.
  bool byte_fallback = false;
  /// The token of characters that have none; without it they vanish.
  std::optional<std::string> unknown = {};
  /// Unknown characters in a row become one token.
  bool fuse_unknown = false;
};

class Bpe final {
 public:
  explicit Bpe(BpeOptions options) : options_(std::move(options)) {}

  /// Building: all tokens, then all merges in order of rank, then seal().
  void add_token(std::string bytes, int32_t id);
  /// ERRORS: kMalformed when a part or the whole is not a token.
  Status add_merge(std::string_view left, std::string_view right);
  /// ERRORS: kMalformed when the unknown token is not in the vocabulary.
  Status seal();

  /// True when each byte is a token; else, with kBytes, the bytes that are none vanish from words.
  bool covers_all_bytes() const;

  /// Takes from the front of `rest` what can be encoded apart from what follows: when no merge
  /// makes a token with U+2581 after another character, words part before it; else all of `rest`.
  std::string_view take_part(std::string_view& rest) const;

  /// Appends the tokens of `word`. Cost O(n log n) in its bytes.
  void encode(std::string_view word, std::vector<int32_t>& out) const;
  /// The one token that encode() gives for `word`, if it is one and known beforehand.
  std::optional<int32_t> whole_word(std::string_view word) const;

 private:
  struct Merge {
    uint32_t rank = 0;
    int32_t token = 0;
  };
  struct Slot {
    uint64_t key = kEmpty;
    Merge merge;
  };
  static constexpr uint64_t kEmpty = ~uint64_t{0};

  static uint64_t pair_key(int32_t left, int32_t right) {
    return (uint64_t{static_cast<uint32_t>(left)} << 32) | static_cast<uint32_t>(right);
  }
  size_t slot_of(uint64_t key) const;
  std::vector<int32_t> first_symbols(std::string_view word) const;
  std::vector<int32_t> first_characters(std::string_view word) const;
  const Merge* find_merge(int32_t left, int32_t right) const;
  void merge_short(std::vector<int32_t>& symbols) const;
  void merge_long(std::vector<int32_t>& symbols) const;

  BpeOptions options_;
  std::array<int32_t, 256> byte_tokens_ = filled(-1);      // spelled as the byte itself
  std::array<int32_t, 256> fallback_tokens_ = filled(-1);  // spelled <0xHH>
  std::optional<int32_t> unknown_;
  bool parts_at_spaces_ = true;  // until a token or merge says otherwise
  StringMap<int32_t> tokens_;
  /// Tokens whose own bytes merge to themselves: the common case, answered by one look-up.
  StringMap<int32_t> whole_words_map_;
  std::vector<std::pair<uint64_t, Merge>> pending_;
  std::vector<Slot> table_;  // open addressing, size a power of two
  static constexpr std::array<int32_t, 256> filled(int32_t value) {
    std::array<int32_t, 256> all{};
    for (auto& entry : all) entry = value;
    return all;
  }
};

}  // namespace touchstone::tokenizer
