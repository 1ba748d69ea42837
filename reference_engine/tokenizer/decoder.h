// The decoder part of tokenizer.json: how tokens read as text. What it says is kept as the text of
// each single token and a few rules for their joints, so that text can be streamed.
// Source: huggingface/tokenizers 0.23 decoders/. Immutable after parse; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "reference_engine/tokenizer/part.h"
#include "reference_engine/tokenizer/regex.h"

namespace touchstone::tokenizer {

/// What one token adds to the text.
struct TokenText {
  std::string bytes;
  /// A single byte written as <0xHH>. A run of such bytes is text only if it is UTF-8 as a whole.
  bool is_byte = false;
};

/// What happens at the beginning of a text and between its tokens.
struct TextRules {
  /// Tokens are parts of one stream of bytes (ByteLevel); else each is text, or a byte.
  bool is_byte_stream = false;
  /// Between tokens (a tokenizer without a decoder writes " ").
  std::string separator = {};
  /// Taken from the beginning of the text, up to `cut_max` times.
  std::string cut = {};
  int64_t cut_max = 0;
  /// Each of these characters vanishes from the first token.
  std::string dropped_from_first = {};
};

class Decoder final {
 public:
  /// `part`: the value of "decoder"; null: tokens with spaces between them.
  /// ERRORS: kUnsupported naming the type, kMalformed; both with the place.
  static Result<Decoder> parse(const Part& part);

  const TextRules& rules() const { return rules_; }
  /// How the token spelled `spelling` reads inside a text.
  TokenText text_of(std::string_view spelling) const;

 private:
  struct Replace {
    Regex regex;
    std::string to;
  };
  struct Strip {
    std::string character;
    int64_t start;
    int64_t stop;
  };
  using Step = std::variant<Replace, Strip>;

  Decoder() = default;
  Status add(const Part& part);
  Status add_replace(const Part& part);
  Status add_strip(const Part& part);
  Status add_metaspace(const Part& part);
  static std::string apply(const Step& step, std::string text);

  TextRules rules_;
  std::vector<Step> steps_;   // of each token
  bool reads_bytes_ = false;  // ByteFallback
  bool fused_ = false;
  bool complete_ = false;  // nothing may follow
};

/// How the first token of a text reads, before `rules.cut` is taken.
std::string first_text(const TextRules& rules, std::string_view spelling, const TokenText& text);

/// Puts tokens together as decode() does. Thread-compatible.
class TextJoiner final {
 public:
  /// `rules` must outlive this.
  explicit TextJoiner(const TextRules& rules) : rules_(rules) {}
  void add(std::string_view spelling, const TokenText& text);
  /// The text; ill-formed bytes are U+FFFD. Nothing may be added afterwards.
  std::string finish();

 private:
  void end_run();

  const TextRules& rules_;
  std::string out_;
  std::string run_;  // bytes that are text as a whole or not at all
  bool first_ = true;
};

}  // namespace touchstone::tokenizer
