// The threads that compile, a cache of what they made, and the limits on what waits and how long it
// takes. Knows nothing of xgrammar: what compiles is handed in, and cannot be stopped once it runs.
// So a compilation that takes too long is given up: its callers are told, another thread takes its
// thread's place, and what it makes in the end is thrown away. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "reference_engine/grammar/compiler.h"

namespace touchstone::grammar {

struct Compiled {
  std::shared_ptr<const CompiledGrammar> grammar;
  int64_t bytes = 0;
};

class CompilerPool final {
 public:
  /// Owns what it uses: one that was given up may outlive the pool.
  using Compile = std::function<Result<Compiled>(const GrammarSpec& spec)>;

  CompilerPool(const CompilerOptions& options, Compile compile);
  /// Lets what is being compiled end, unless it was given up; what waits is told that nothing comes
  /// of it.
  ~CompilerPool();
  CompilerPool(const CompilerPool&) = delete;
  CompilerPool& operator=(const CompilerPool&) = delete;

  /// See Compiler::compile(). Requests for a grammar that is under way share it. One that took too
  /// long before is refused at once.
  Status compile(const GrammarSpec& spec, Compiler::Done done);

 private:
  class State;
  const std::shared_ptr<State> state_;  // shared with threads that were given up
};

}  // namespace touchstone::grammar
