// The byte alphabet of GPT-2: each of the 256 bytes is written as one printable character, so that
// vocabularies are text. Source: huggingface/tokenizers 0.22 pre_tokenizers/byte_level.rs.
// Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace touchstone::tokenizer {

/// The bytes that `token` spells ("Ġthe" → " the"); nullopt if a character is not of the alphabet.
std::optional<std::string> spelled_bytes(std::string_view token);

/// How `byte` is spelled.
std::string spell_byte(uint8_t byte);

/// The word pattern of ByteLevel with use_regex, in the dialect of regex.h.
inline constexpr std::string_view kByteLevelPattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
    "\\s+(?!\\S)|\\s+";

}  // namespace touchstone::tokenizer
