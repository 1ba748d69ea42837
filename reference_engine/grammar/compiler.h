// Structured output: from a description to the tokens that may come next, with xgrammar. Compiling
// takes from microseconds to seconds, so it happens on threads of its own. Thread-safe.
// Built without xgrammar (CMake option TOUCHSTONE_XGRAMMAR) every grammar is refused by name.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "reference_engine/grammar/grammar_spec.h"
#include "reference_engine/grammar/limits.h"

namespace touchstone::grammar {

/// How one answer goes on. Thread-compatible.
class Matcher {
 public:
  virtual ~Matcher() = default;
  /// A bit for every token that may come next: token t is bit t % 32 of word t / 32. All of them
  /// once the answer is complete and ended.
  virtual void fill(std::span<int32_t> words) = 0;
  /// `token` came. False: it was not allowed.
  virtual bool accept(int32_t token) = 0;
};

/// Immutable; thread-safe.
class CompiledGrammar {
 public:
  virtual ~CompiledGrammar() = default;
  /// `stop_tokens` may come once the answer is complete.
  virtual std::unique_ptr<Matcher> matcher(const std::vector<int32_t>& stop_tokens) const = 0;
};

struct Vocabulary {
  std::vector<std::string> bytes;  ///< of each token; empty: it is never part of an answer
  int32_t size = 0;                ///< of the model's logits, at least that of `bytes`
  std::vector<int32_t> stop_tokens;
};

struct CompilerOptions {
  int threads = 2;
  size_t max_pending = 64;  ///< grammars that wait for a thread
  GrammarLimits limits = {};
  int64_t cache_bytes_max = int64_t{512} << 20;
  const Clock* clock = nullptr;  ///< REQUIRES: set; outlives the compiler
};

class Compiler {
 public:
  virtual ~Compiler() = default;
  /// What can be said at a glance. ERRORS: kMalformed; kInvalidArgument: it is beyond the limits;
  /// kUnsupported: a keyword would be left out in silence, or built without xgrammar.
  virtual Status check(const GrammarSpec& spec) const = 0;
  using Done = std::function<void(Result<std::shared_ptr<const CompiledGrammar>>)>;
  /// Calls `done` on a thread of its own, or at once when it has compiled the same before; with
  /// kInvalidArgument when it is malformed or takes too long. REQUIRES: check().
  /// ERRORS: kUnavailable: too many wait; kInvalidArgument: it took too long before.
  virtual Status compile(const GrammarSpec& spec, Done done) = 0;

  static std::unique_ptr<Compiler> make(const Vocabulary& vocabulary,
                                        const CompilerOptions& options);
};

/// Whether this program was built with xgrammar.
bool is_built_in();

}  // namespace touchstone::grammar
