// The plugin's side of the C table: any backend of backend.h behind it. A shared object with a
// backend in it is this and one exported function; cpu/cpu_plugin.cc is an example.
#pragma once

#include "reference_engine/backend/plugin.h"
#include "reference_engine/backend/registry.h"

namespace touchstone::backend {

/// The factory must outlive the table and every backend made through it.
TouchstonePlugin export_plugin(const BackendFactory& factory, const char* name);

}  // namespace touchstone::backend
