// Files that come with the program (suites, Collector configurations, models, workloads), found
// from where the program lies: in a build folder below the source tree, or in PREFIX/bin beside
// PREFIX/share/touchstone. Thread-safe.
#pragma once

#include <string>

#include "base/result.h"

namespace touchstone::harness {

/// Path of this running program.
std::string program_path();

/// `relative`, e.g. "harness/suites/quickstart.yaml", as an absolute path.
/// ERRORS: kNotFound with the places looked at.
Result<std::string> shipped_path(const std::string& program, const std::string& relative);

}  // namespace touchstone::harness
