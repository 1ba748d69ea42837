// A plugin of the right version without its functions.
#include "reference_engine/backend/plugin.h"

extern "C" const TouchstonePlugin* touchstone_backend_plugin() {
  static TouchstonePlugin table = {};
  table.abi_version = TOUCHSTONE_BACKEND_ABI_VERSION;
  table.struct_size = sizeof(table);
  table.name = "incomplete";
  return &table;
}
