// vLLM's own environment variables: what `touchstone serve` does with each.
// Source: vLLM 0.32.0 envs.py.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "base/result.h"
#include "reference_engine/server/serve.h"

namespace touchstone::cli {

/// A variable that the server honours; all others that begin with VLLM_ have no effect here.
struct KnownVariable {
  const char* name;
  const char* meaning;
};
std::span<const KnownVariable> known_variables();

/// Takes what options.environment says into `options`, where no flag said it, and calls `say` for
/// each VLLM_ variable without effect; `strict`: such a variable is an error.
/// ERRORS: kInvalidArgument: a value.
Status apply_environment(bool strict, server::ServeOptions& options,
                         const std::function<void(const std::string&)>& say);

}  // namespace touchstone::cli
