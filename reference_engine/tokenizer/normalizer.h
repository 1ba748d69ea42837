// The normalizer part of tokenizer.json: how text is changed before anything is cut from it.
// Source: huggingface/tokenizers 0.23 normalizers/. Immutable after parse; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "reference_engine/tokenizer/part.h"
#include "reference_engine/tokenizer/regex.h"

namespace touchstone::tokenizer {

class Normalizer final {
 public:
  /// null: text stays as it is. ERRORS: kUnsupported naming the type; kMalformed; with the place.
  static Result<Normalizer> parse(const Part& part);

  bool changes_nothing() const { return steps_.empty(); }
  /// Whether the first character may vanish, so that what then comes first is not the beginning.
  bool may_cut_the_beginning() const;
  /// `text`: well-formed UTF-8, as is the result.
  std::string normalize(std::string_view text) const;

 private:
  enum class Form { kNfc, kNfd, kNfkc, kNfkd };
  struct Lowercase {};
  struct StripAccents {};
  struct Strip {
    bool left;
    bool right;
  };
  struct Prepend {
    std::string text;
  };
  struct ReplaceText {
    std::string from;  // not empty
    std::string to;
  };
  struct ReplaceMatches {
    Regex regex;
    std::string to;
  };
  using Step =
      std::variant<Form, Lowercase, StripAccents, Strip, Prepend, ReplaceText, ReplaceMatches>;

  Normalizer() = default;
  Status add(const Part& part);
  Status add_replace(const Part& part);
  static std::string apply(const Step& step, std::string text);

  std::vector<Step> steps_;
};

}  // namespace touchstone::tokenizer
