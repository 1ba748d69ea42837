#include "reference_engine/tokenizer/added_tokens.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.h"
#include "reference_engine/tokenizer/white_space.h"

namespace touchstone::tokenizer {
namespace {

// The regular expression \w with Unicode meaning: letters, marks, numbers, connectors.
bool is_word_character(int32_t c) {
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

bool ends_with_word(std::string_view text) {
  return !text.empty() &&
         is_word_character(decode_character(text.substr(last_character_begin(text))).value);
}

bool starts_with_word(std::string_view text) {
  return !text.empty() && is_word_character(decode_character(text).value);
}

}  // namespace

void AddedTokenMatcher::add(const AddedToken& token) {
  if (token.content.empty()) return;
  size_t node = 0;
  for (const char c : token.content) {
    const auto byte = static_cast<uint8_t>(c);
    const auto child = nodes_[node].children.find(byte);
    if (child != nodes_[node].children.end()) {
      node = child->second;
    } else {
      const size_t fresh = nodes_.size();
      nodes_[node].children.emplace(byte, fresh);
      nodes_.emplace_back();
      node = fresh;
    }
  }
  if (nodes_[node].token) return;
  nodes_[node].token = tokens_.size();
  tokens_.push_back(token);
  starts_[static_cast<uint8_t>(token.content[0])] = true;
}

std::optional<AddedTokenMatcher::Match> AddedTokenMatcher::longest_at(std::string_view text,
                                                                      size_t begin) const {
  std::optional<Match> longest;
  size_t node = 0;
  for (size_t i = begin; i < text.size(); ++i) {
    const auto child = nodes_[node].children.find(static_cast<uint8_t>(text[i]));
    if (child == nodes_[node].children.end()) break;
    node = child->second;
    if (nodes_[node].token) longest = Match{i + 1, &tokens_[*nodes_[node].token]};
  }
  return longest;
}

std::vector<AddedTokenMatcher::Piece> AddedTokenMatcher::split(std::string_view text) const {
  std::vector<Piece> pieces;
  size_t done = 0;
  for (size_t i = 0; i < text.size();) {
    const auto match =
        starts_[static_cast<uint8_t>(text[i])] ? longest_at(text, i) : std::optional<Match>();
    if (!match) {
      ++i;
      continue;
    }
    size_t begin = i;
    size_t end = match->end;
    i = match->end;
    const AddedToken& token = *match->token;
    if (token.single_word &&
        (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) {
      continue;
    }
    if (token.lstrip) begin = std::max(without_trailing_space(text.substr(0, begin)), done);
    if (token.rstrip) end += leading_space(text.substr(end));
    if (done < begin) pieces.push_back({text.substr(done, begin - done), std::nullopt});
    pieces.push_back({text.substr(begin, end - begin), token.id});
    done = end;
  }
  if (done < text.size()) pieces.push_back({text.substr(done), std::nullopt});
  return pieces;
}

}  // namespace touchstone::tokenizer
