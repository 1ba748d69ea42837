// The program's side of the C table: a shared object as a row of the table of backends.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "reference_engine/backend/registry.h"

namespace touchstone::backend {

/// Loads the shared object at `path` (for as long as the factory or one of its backends lives) and
/// checks its table. ERRORS: kNotFound (no such file), kUnavailable (it cannot be loaded: the
/// loader's reason), kUnsupported (no such symbol, another version, an incomplete table).
Result<std::unique_ptr<BackendFactory>> load_plugin(const std::string& path);

}  // namespace touchstone::backend
