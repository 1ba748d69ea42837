// Tokenizers from a Hugging Face folder's tokenizer.json: byte-level BPE (GPT-2, Llama 3, Qwen).
// Source: huggingface/tokenizers 0.22 (BPE model, ByteLevel and Split pre-tokenizers, added
// tokens, TemplateProcessing). Immutable after load; thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace touchstone::tokenizer {

class Tokenizer final {
 public:
  /// `folder` holds tokenizer.json and, if present, tokenizer_config.json.
  /// ERRORS: kNotFound, kMalformed, kUnsupported naming the part of tokenizer.json.
  static Result<std::unique_ptr<Tokenizer>> load(const std::string& folder);
  /// From the text of a tokenizer.json alone.
  static Result<std::unique_ptr<Tokenizer>> parse(std::string_view tokenizer_json);
  ~Tokenizer();

  /// Token ids of `text` (UTF-8; ill-formed bytes become U+FFFD as HF has it). Special tokens
  /// written out in `text` become their ids. `add_special_tokens`: the post-processor's.
  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens) const;
  /// The text of `ids`; ids out of range are skipped. Incomplete UTF-8 becomes U+FFFD.
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const;

  /// Ids 0 … vocab_size()-1 exist, added tokens included.
  int32_t vocab_size() const;
  /// The token as tokenizer.json spells it ("Ġthe"); empty when out of range.
  std::string_view token_string(int32_t id) const;
  /// The bytes the token stands for (" the"); for special tokens their text.
  std::string_view token_bytes(int32_t id) const;
  bool is_special(int32_t id) const;
  std::optional<int32_t> token_id(std::string_view token) const;

 private:
  class Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace touchstone::tokenizer
