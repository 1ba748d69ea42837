// Where a program lies. Thread-safe.
#pragma once

#include <optional>
#include <string>

namespace touchstone::harness {

/// The executable that `name` means: a path (from `folder` when relative) or one of this process's
/// PATH; nullopt when there is none.
std::optional<std::string> find_program(const std::string& name, const std::string& folder);

}  // namespace touchstone::harness
