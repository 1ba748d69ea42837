// Tokenizers from a Hugging Face folder: byte-level BPE (GPT-2, OPT, Llama 3, Qwen) and
// SentencePiece's BPE with byte fallback (Llama 2, Mistral).
// Source: huggingface/tokenizers 0.23. Immutable after load; thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "reference_engine/tokenizer/decoder.h"

namespace touchstone::tokenizer {

class Tokenizer final {
 public:
  /// `folder` holds tokenizer.json, or vocab.json and merges.txt as GPT-2 and OPT have them, and
  /// in both cases tokenizer_config.json if present.
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
  /// The bytes the token stands for inside a text (" the"); for special tokens their text.
  std::string_view token_bytes(int32_t id) const;
  /// Whether it is one byte of a run that is text as a whole (<0x0A>).
  bool is_byte_token(int32_t id) const;
  /// The bytes of the first token of a text; what rules().cut says is not taken from them.
  std::string first_bytes(int32_t id) const;
  const TextRules& rules() const;
  bool is_special(int32_t id) const;
  std::optional<int32_t> token_id(std::string_view token) const;

 private:
  class Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  static Result<std::unique_ptr<Tokenizer>> of_tree(const nlohmann::json& tree);
  static Result<std::unique_ptr<Tokenizer>> load_files(const std::string& folder,
                                                       const nlohmann::json& config);
  std::unique_ptr<Impl> impl_;
};

}  // namespace touchstone::tokenizer
