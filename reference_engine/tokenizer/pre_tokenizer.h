// The pre-tokenizer part of tokenizer.json: cuts text into the words that BPE sees.
// Source: huggingface/tokenizers 0.23 pre_tokenizers/, tokenizer/normalizer.rs (split behaviours).
// Immutable after parse; thread-safe.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "reference_engine/tokenizer/part.h"
#include "reference_engine/tokenizer/regex.h"

namespace touchstone::tokenizer {

class PreTokenizer final {
 public:
  /// `part`: the value of "pre_tokenizer"; null: a text is one word. ERRORS: kUnsupported naming
  /// the type or option; kMalformed; both with the place.
  static Result<PreTokenizer> parse(const Part& part);

  /// Where a text lies in the input: some steps treat its beginning apart.
  enum class Place { kBeginning, kLater };
  /// Calls `visit` with each word of `text` (well-formed UTF-8), in order. No word is empty.
  void split(std::string_view text, Place place,
             const std::function<void(std::string_view)>& visit) const;

  /// True with a ByteLevel step: words are bytes, which vocabularies spell in its alphabet.
  bool has_byte_level() const { return has_byte_level_; }
  /// Whether some step looks at where a text lies.
  bool looks_at_place() const;

 private:
  enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
  struct Split {
    Regex regex;
    Behavior behavior;
    bool invert;  // gaps count as matches, and matches as gaps
  };
  struct PrefixSpace {};
  struct Metaspace {
    enum class Prepend { kAlways, kFirst, kNever };
    std::string replacement;
    Prepend prepend;
  };
  using Step = std::variant<Split, PrefixSpace, Metaspace>;
  struct Span {
    size_t begin;
    size_t end;
    bool is_match;
  };
  struct Run;

  PreTokenizer() = default;
  Status add(const Part& part);
  Status add_split(const Part& part);
  Status add_metaspace(const Part& part);
  Status add_byte_level(const Part& part);
  Status add_pattern(const Part& part, std::string_view pattern, Behavior behavior,
                     bool invert = false);
  static Result<Behavior> behavior_of(const Part& part);
  static std::vector<Span> merged(const std::vector<Span>& spans, Behavior behavior);

  std::vector<Step> steps_;
  bool has_byte_level_ = false;
};

}  // namespace touchstone::tokenizer
