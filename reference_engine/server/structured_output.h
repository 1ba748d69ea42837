// From a request's grammar to the engine's constraint: looked at at once, compiled on the
// compiler's threads, waited for by no thread. Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "reference_engine/engine/engine.h"
#include "reference_engine/grammar/compiler.h"
#include "reference_engine/server/api/context.h"

namespace touchstone::server {

class StructuredOutput final {
 public:
  /// All references outlive this.
  StructuredOutput(const api::ApiContext& context, engine::Engine& engine);

  /// `stop_tokens` may come once the answer is complete. ERRORS: as Compiler::check() and
  /// compile().
  Result<std::shared_ptr<const engine::ConstraintSource>> start(const grammar::GrammarSpec& spec,
                                                                std::vector<int32_t> stop_tokens);

 private:
  grammar::Compiler& compiler();

  const api::ApiContext& context_;
  engine::Engine& engine_;
  std::once_flag made_;  // the vocabulary costs time and memory: on the first use
  std::unique_ptr<grammar::Compiler> compiler_;
};

}  // namespace touchstone::server
