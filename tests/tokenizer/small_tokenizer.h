// tokenizer.json texts small enough to reason about by hand.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/check.h"
#include "reference_engine/tokenizer/byte_level.h"
#include "reference_engine/tokenizer/tokenizer.h"

namespace touchstone::tokenizer {

/// All 256 bytes (ids 0 to 255), then "he" 256, "hel" 257, "lo" 258, "hello" 259 with their merges,
/// and no pattern: a whole text is one word.
inline nlohmann::json small_tokenizer_json() {
  using nlohmann::json;
  json vocabulary = json::object();
  for (int byte = 0; byte < 256; ++byte) vocabulary[spell_byte(static_cast<uint8_t>(byte))] = byte;
  int next = 256;
  json merges = json::array();
  for (const auto& [left, right] : {std::pair{"h", "e"}, {"he", "l"}, {"l", "o"}, {"hel", "lo"}}) {
    vocabulary[std::string(left) + right] = next++;
    merges.push_back({left, right});
  }
  return {
      {"added_tokens", json::array()},
      {"normalizer", nullptr},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}},
      {"post_processor", nullptr},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}}}};
}

inline std::unique_ptr<Tokenizer> parse_small(const nlohmann::json& tree) {
  auto parsed = Tokenizer::parse(tree.dump());
  BASE_CHECK(parsed.has_value(), parsed.error().message);
  return std::move(*parsed);
}

}  // namespace touchstone::tokenizer
