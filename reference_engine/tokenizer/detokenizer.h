// Streaming text of one completion: tokens in, text out that is never cut inside a character, with
// stop strings. Source: vLLM 0.32 v1/engine/detokenizer.py (stop strings hold back their longest
// length - 1 characters). Works on bytes, so a token that spells U+FFFD is text like any other.
// Text that was sent is never taken back: where bytes written as <0xHH> are no UTF-8, each byte
// that fits nothing is one U+FFFD, while decode() of all tokens makes one of every byte of the run.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "reference_engine/tokenizer/tokenizer.h"

namespace touchstone::tokenizer {

struct DetokenizerOptions {
  std::vector<std::string> stop = {};  ///< none empty
  bool include_stop_in_output = false;
  bool skip_special_tokens = true;
  /// Stop strings are not looked for in the first this many tokens.
  int32_t min_tokens = 0;
  /// Whether text precedes (a prompt that shows some): what decode() takes from the beginning of a
  /// text, such as its first space, then stays.
  bool after_text = false;
};

/// Whether some of `ids` shows as text.
bool shows_text(const Tokenizer& tokenizer, std::span<const int32_t> ids, bool skip_special_tokens);

class Detokenizer final {
 public:
  /// `tokenizer` must outlive this.
  Detokenizer(const Tokenizer& tokenizer, DetokenizerOptions options);

  /// Adds one token; returns the stop string that is now complete, if any. After that the text is
  /// final (cut before or after the stop string) and nothing more may be added.
  std::optional<std::string> add(int32_t token);
  /// The completion ended otherwise: releases what was held back. The bytes of a character that
  /// did not get complete are dropped, as vLLM does.
  void finish();
  /// Text that may be sent and was not yet taken; empty while a character or a possible stop
  /// string is incomplete.
  std::string take_delta();
  /// All text so far that may be sent.
  const std::string& text() const { return text_; }

 private:
  void append_bytes(int32_t token);
  void take_whole_characters();
  void replace_pending();
  void cut_beginning();
  std::optional<std::string> find_stop(size_t new_bytes);
  void release(size_t bytes);

  const Tokenizer& tokenizer_;
  DetokenizerOptions options_;
  size_t hold_back_characters_ = 0;
  size_t stop_bytes_max_ = 0;
  std::string text_;
  std::string held_;     // whole characters that a stop string may still take back
  std::string pending_;  // bytes of an incomplete character
  size_t taken_ = 0;
  bool any_shown_ = false;  // a token before this one, of the prompt or of the completion
  int64_t cuts_left_ = 0;   // TextRules::cut at the beginning of held_
  int32_t tokens_ = 0;
  bool finished_ = false;
};

}  // namespace touchstone::tokenizer
