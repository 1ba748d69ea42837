// Tokens that are cut out of text before anything else happens to it.
// Source: huggingface/tokenizers 0.22 tokenizer/added_vocabulary.rs (leftmost-longest matching,
// single_word, lstrip, rstrip). Immutable after build; thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace touchstone::tokenizer {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool single_word = false;
  bool lstrip = false;
  bool rstrip = false;
  bool normalized = false;
  bool special = false;
};

class AddedTokenMatcher final {
 public:
  /// Later tokens with the content of earlier ones are ignored; so are empty ones.
  void add(const AddedToken& token);

  /// A piece of the text; with a token, the piece is that token.
  struct Piece {
    std::string_view text;
    std::optional<int32_t> token;
  };
  /// The pieces of `text` in order; none is empty.
  std::vector<Piece> split(std::string_view text) const;

 private:
  struct Node {
    std::map<uint8_t, size_t> children;
    std::optional<size_t> token;  // index in tokens_
  };
  struct Match {
    size_t end = 0;
    const AddedToken* token = nullptr;
  };
  /// The longest token at `text`'s position `begin`.
  std::optional<Match> longest_at(std::string_view text, size_t begin) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::array<bool, 256> starts_{};
};

}  // namespace touchstone::tokenizer
