// The pre-tokenizer part of tokenizer.json: cuts text into the words that BPE sees.
// Source: huggingface/tokenizers 0.22 pre_tokenizers/{sequence,split,byte_level}.rs.
// Immutable after parse; thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "reference_engine/tokenizer/regex.h"

namespace touchstone::tokenizer {

class PreTokenizer final {
 public:
  /// `part`: the value of "pre_tokenizer". ERRORS: kUnsupported naming the type or option;
  /// kMalformed. A tokenizer without ByteLevel is unsupported.
  static Result<PreTokenizer> parse(const nlohmann::json& part);

  /// Calls `visit` with each word of `text` (well-formed UTF-8), in order.
  void split(std::string_view text, const std::function<void(std::string_view)>& visit) const;

 private:
  enum class Keep { kMatchesAndGaps, kGaps, kMatches };
  struct Step {
    Regex regex;
    Keep keep;
  };
  PreTokenizer() = default;
  Status add(const nlohmann::json& part);
  Status add_split(const nlohmann::json& part);
  Status add_byte_level(const nlohmann::json& part);
  void run(size_t step, std::string_view text, bool first, std::vector<Regex::Scanner*>& scanners,
           const std::function<void(std::string_view)>& visit) const;

  std::vector<Step> steps_;
  /// ByteLevel with add_prefix_space works on each piece that reaches it.
  bool add_prefix_space_ = false;
  size_t prefix_space_step_ = 0;
  bool has_byte_level_ = false;
};

}  // namespace touchstone::tokenizer
