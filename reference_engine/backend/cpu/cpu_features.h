// Which kernels this processor can run. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "reference_engine/backend/cpu/kernels.h"

namespace touchstone::backend::cpu {

/// The tables this processor can run, best first; portable is always the last.
std::vector<const Kernels*> supported_kernels();
/// `name`: "auto" (the best), "amx", "avx512", "avx2" or "portable".
/// ERRORS: kInvalidArgument for another name; kUnsupported when the processor lacks it.
Result<const Kernels*> choose_kernels(const std::string& name);

}  // namespace touchstone::backend::cpu
