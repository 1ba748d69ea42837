#include "reference_engine/tokenizer/bpe.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "base/utf8.h"

namespace touchstone::tokenizer {
namespace {

// Up to this many symbols, looking for the best pair again after each merge beats a heap.
constexpr size_t kShortWord = 48;
constexpr uint32_t kNoRank = std::numeric_limits<uint32_t>::max();

// U+2581, which stands for a space in SentencePiece's vocabularies.
constexpr std::string_view kSpace = "\u2581";

// Where a space follows another character, at or after `from`; npos when nowhere.
size_t space_inside(std::string_view text, size_t from) {
  for (size_t at = text.find(kSpace, from); at != std::string_view::npos;
       at = text.find(kSpace, at + kSpace.size())) {
    const bool after_space =
        at >= kSpace.size() && text.substr(at - kSpace.size(), kSpace.size()) == kSpace;
    if (at > 0 && !after_space) return at;
  }
  return std::string_view::npos;
}

bool has_space_inside(std::string_view text) {
  return space_inside(text, 0) != std::string_view::npos;
}

std::string fallback_spelling(size_t byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">";
}

}  // namespace

void Bpe::add_token(std::string bytes, int32_t id) {
  if (bytes.size() == 1) byte_tokens_[static_cast<uint8_t>(bytes[0])] = id;
  tokens_.insert_or_assign(std::move(bytes), id);
}

Status Bpe::add_merge(std::string_view left, std::string_view right) {
  const std::string whole = std::string(left) + std::string(right);
  const auto left_token = tokens_.find(left);
  const auto right_token = tokens_.find(right);
  const auto whole_token = tokens_.find(whole);
  for (const auto& [found, text] : {std::pair{left_token, left},
                                    {right_token, right},
                                    {whole_token, std::string_view(whole)}}) {
    if (found == tokens_.end()) {
      return malformed("merge " + std::to_string(pending_.size()) + ": " + quote(text) +
                       " is not in the vocabulary");
    }
  }
  if (has_space_inside(whole)) parts_at_spaces_ = false;
  const auto rank = static_cast<uint32_t>(pending_.size());
  pending_.emplace_back(pair_key(left_token->second, right_token->second),
                        Merge{rank, whole_token->second});
  return {};
}

Status Bpe::seal() {
  for (size_t byte = 0; byte < 256 && options_.byte_fallback; ++byte) {
    const auto found = tokens_.find(fallback_spelling(byte));
    if (found != tokens_.end()) fallback_tokens_[byte] = found->second;
  }
  if (options_.unknown) {
    const auto found = tokens_.find(*options_.unknown);
    if (found == tokens_.end()) {
      return malformed("unk_token " + quote(*options_.unknown) + " is not in the vocabulary");
    }
    unknown_ = found->second;
  }
  parts_at_spaces_ = parts_at_spaces_ && options_.units == BpeOptions::Units::kCharacters &&
                     options_.whole_words == BpeOptions::WholeWords::kMerge &&
                     tokens_.find(kSpace) != tokens_.end();
  size_t size = 16;
  while (size < pending_.size() * 2) size *= 2;
  table_.assign(size, Slot{});
  for (const auto& [key, merge] : pending_) {
    Slot& slot = table_[slot_of(key)];
    // A pair given twice has its last rank, as in the source.
    slot = {key, merge};
  }
  pending_ = {};
  for (const auto& [bytes, id] : tokens_) {
    if (bytes.empty()) continue;
    std::vector<int32_t> ids;
    const bool merges = options_.whole_words == BpeOptions::WholeWords::kMerge;
    if (merges) encode(bytes, ids);
    if (!merges || (ids.size() == 1 && ids[0] == id)) whole_words_map_.emplace(bytes, id);
  }
  return {};
}

bool Bpe::covers_all_bytes() const {
  return std::none_of(byte_tokens_.begin(), byte_tokens_.end(), [](int32_t id) { return id < 0; });
}

size_t Bpe::slot_of(uint64_t key) const {
  const size_t mask = table_.size() - 1;
  // Fibonacci hashing; the high bits are the mixed ones.
  size_t slot = static_cast<size_t>((key * 0x9E3779B97F4A7C15u) >> 20) & mask;
  while (table_[slot].key != kEmpty && table_[slot].key != key) slot = (slot + 1) & mask;
  return slot;
}

const Bpe::Merge* Bpe::find_merge(int32_t left, int32_t right) const {
  const Slot& slot = table_[slot_of(pair_key(left, right))];
  return slot.key == kEmpty ? nullptr : &slot.merge;
}

std::optional<int32_t> Bpe::whole_word(std::string_view word) const {
  const auto found = whole_words_map_.find(word);
  if (found == whole_words_map_.end()) return std::nullopt;
  return found->second;
}

std::string_view Bpe::take_part(std::string_view& rest) const {
  const size_t end = parts_at_spaces_ ? space_inside(rest, 0) : std::string_view::npos;
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(part.size());
  return part;
}

std::vector<int32_t> Bpe::first_symbols(std::string_view word) const {
  if (options_.units == BpeOptions::Units::kCharacters) return first_characters(word);
  std::vector<int32_t> symbols;
  symbols.reserve(word.size());
  for (const char c : word) {
    const int32_t token = byte_tokens_[static_cast<uint8_t>(c)];
    if (token >= 0) symbols.push_back(token);
  }
  return symbols;
}

std::vector<int32_t> Bpe::first_characters(std::string_view word) const {
  std::vector<int32_t> symbols;
  symbols.reserve(word.size());
  // As in the source, the unknown token is written when a known character or the end comes, which
  // is after the bytes of characters between.
  bool unknown_waits = false;
  while (!word.empty()) {
    const std::string_view character = word.substr(0, decode_character(word).size);
    word.remove_prefix(character.size());
    const bool ascii = character.size() == 1;
    const auto found = ascii ? tokens_.end() : tokens_.find(character);
    const int32_t token = ascii ? byte_tokens_[static_cast<uint8_t>(character[0])]
                          : found == tokens_.end() ? -1
                                                   : found->second;
    if (token >= 0) {
      if (unknown_waits) symbols.push_back(*unknown_);
      unknown_waits = false;
      symbols.push_back(token);
      continue;
    }
    if (std::all_of(character.begin(), character.end(),
                    [&](char byte) { return fallback_tokens_[static_cast<uint8_t>(byte)] >= 0; })) {
      for (const char byte : character) {
        symbols.push_back(fallback_tokens_[static_cast<uint8_t>(byte)]);
      }
      continue;
    }
    if (!unknown_) continue;
    if (unknown_waits && !options_.fuse_unknown) symbols.push_back(*unknown_);
    unknown_waits = true;
  }
  if (unknown_waits) symbols.push_back(*unknown_);
  return symbols;
}

void Bpe::encode(std::string_view word, std::vector<int32_t>& out) const {
  std::vector<int32_t> symbols = first_symbols(word);
  if (symbols.size() <= kShortWord) {
    merge_short(symbols);
  } else {
    merge_long(symbols);
  }
  out.insert(out.end(), symbols.begin(), symbols.end());
}

void Bpe::merge_short(std::vector<int32_t>& symbols) const {
  std::array<uint32_t, kShortWord> ranks{};  // of the pair (i, i + 1)
  std::array<int32_t, kShortWord> merged{};
  size_t size = symbols.size();
  const auto look_up = [&](size_t i) {
    const Merge* merge = i + 1 < size ? find_merge(symbols[i], symbols[i + 1]) : nullptr;
    ranks[i] = merge == nullptr ? kNoRank : merge->rank;
    merged[i] = merge == nullptr ? 0 : merge->token;
  };
  for (size_t i = 0; i < size; ++i) look_up(i);
  while (size > 1) {
    const auto best = std::min_element(ranks.begin(), ranks.begin() + static_cast<ptrdiff_t>(size));
    if (*best == kNoRank) break;
    const auto i = static_cast<size_t>(best - ranks.begin());
    symbols[i] = merged[i];
    for (size_t k = i + 1; k + 1 < size; ++k) {
      symbols[k] = symbols[k + 1];
      ranks[k] = ranks[k + 1];
      merged[k] = merged[k + 1];
    }
    --size;
    look_up(i);
    if (i > 0) look_up(i - 1);
  }
  symbols.resize(size);
}

void Bpe::merge_long(std::vector<int32_t>& symbols) const {
  struct Candidate {
    uint32_t rank;
    uint32_t position;
    int32_t token;
    bool operator>(const Candidate& other) const {
      return std::pair(rank, position) > std::pair(other.rank, other.position);
    }
  };
  constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
  const auto size = static_cast<uint32_t>(symbols.size());
  std::vector<uint32_t> next(size);
  std::vector<uint32_t> previous(size);
  std::vector<bool> gone(size, false);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto propose = [&](uint32_t left) {
    if (left == kNone || next[left] == kNone) return;
    const Merge* merge = find_merge(symbols[left], symbols[next[left]]);
    if (merge != nullptr) queue.push({merge->rank, left, merge->token});
  };
  for (uint32_t i = 0; i < size; ++i) {
    previous[i] = i == 0 ? kNone : i - 1;
    next[i] = i + 1 == size ? kNone : i + 1;
  }
  for (uint32_t i = 0; i < size; ++i) propose(i);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    const uint32_t left = best.position;
    if (gone[left] || next[left] == kNone) continue;
    const uint32_t right = next[left];
    const Merge* merge = find_merge(symbols[left], symbols[right]);
    if (merge == nullptr || merge->token != best.token) continue;  // a neighbour changed since
    symbols[left] = best.token;
    gone[right] = true;
    next[left] = next[right];
    if (next[left] != kNone) previous[next[left]] = left;
    propose(left);
    propose(previous[left]);
  }
  uint32_t kept = 0;
  for (uint32_t i = 0; i < size; ++i) {
    if (!gone[i]) symbols[kept++] = symbols[i];
  }
  symbols.resize(kept);
}

}  // namespace touchstone::tokenizer
