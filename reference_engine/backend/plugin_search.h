// Backends that are shared objects with a known name, looked for where a program's plugins lie: one
// binary works with and without them, and loads none that nobody asks for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/environment.h"
#include "reference_engine/backend/registry.h"

namespace touchstone::backend {

/// The folders of TOUCHSTONE_PLUGIN_PATH, separated by colons, then that of this program, then
/// lib/touchstone beside it where an installation has it.
std::vector<std::string> plugin_folders(const Environment& environment);

/// The backend `name` in the shared object `file` of the first of `folders` that has one. It is
/// loaded by probe(), whose ERRORS are: kUnavailable: no folder has the file; those of
/// load_plugin(). Not thread-safe.
std::unique_ptr<BackendFactory> searched_plugin(std::string name, std::string file,
                                                std::vector<std::string> folders);

}  // namespace touchstone::backend
