// The generator of texts that fixtures/models/make_goldens.py describes in a golden's "rules".
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/utf8.h"

namespace touchstone::tokenizer {

class GeneratedTexts final {
 public:
  explicit GeneratedTexts(const nlohmann::json& golden)
      : state_(golden["seed"].get<uint64_t>()),
        max_pieces_(golden["max_pieces"].get<uint64_t>()),
        ranges_(golden["ranges"].get<std::vector<std::pair<int32_t, int32_t>>>()),
        strings_(golden["strings"].get<std::vector<std::string>>()) {}

  std::string next() {
    std::string text;
    const uint64_t pieces = 1 + draw() % max_pieces_;
    for (uint64_t i = 0; i < pieces; ++i) {
      if (draw() % 4 < 3) {
        text += strings_[draw() % strings_.size()];
        continue;
      }
      const auto& [low, high] = ranges_[draw() % ranges_.size()];
      const uint64_t count = 1 + draw() % 6;
      for (uint64_t k = 0; k < count; ++k) {
        const auto offset = static_cast<int32_t>(draw() % static_cast<uint64_t>(high - low + 1));
        append_character(low + offset, text);
      }
    }
    return text;
  }

 private:
  uint64_t draw() {
    state_ += 0x9E3779B97F4A7C15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  uint64_t state_;
  uint64_t max_pieces_;
  std::vector<std::pair<int32_t, int32_t>> ranges_;
  std::vector<std::string> strings_;
};

/// `value` as four bytes, the lowest first.
inline std::string little_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

}  // namespace touchstone::tokenizer
