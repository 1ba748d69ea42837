// Patterns of tokenizer.json, compiled by PCRE2 with JIT, with Unicode semantics as Oniguruma and
// Rust's regex give them. Immutable; thread-safe (match state is per call site).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace touchstone::tokenizer {

class Regex final {
 public:
  /// ERRORS: kMalformed with PCRE2's message and the position in `pattern`; kUnsupported for what
  /// Oniguruma reads in another way, and for a pattern that may match the empty text.
  static Result<Regex> compile(std::string_view pattern);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  /// Finds matches in one text from left to right. The regex must outlive it.
  class Scanner final {
   public:
    explicit Scanner(const Regex& regex);
    ~Scanner();
    Scanner(const Scanner&) = delete;
    Scanner& operator=(const Scanner&) = delete;
    /// The leftmost non-empty match at or after `from`, as [begin, end). `text` is UTF-8.
    std::optional<std::pair<size_t, size_t>> find(std::string_view text, size_t from);

   private:
    struct State;
    const Regex& regex_;
    std::unique_ptr<State> state_;
  };

 private:
  struct Code;
  explicit Regex(std::unique_ptr<Code> code);
  std::unique_ptr<Code> code_;
};

/// `text` with each match of `regex` replaced by `to`.
std::string replace_matches(std::string_view text, const Regex& regex, std::string_view to);

}  // namespace touchstone::tokenizer
