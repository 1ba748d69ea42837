// A plugin of another version of the C table.
#include "reference_engine/backend/plugin.h"

extern "C" const TouchstonePlugin* touchstone_backend_plugin() {
  static TouchstonePlugin table = {};
  table.abi_version = TOUCHSTONE_BACKEND_ABI_VERSION + 1;
  table.struct_size = sizeof(table);
  return &table;
}
