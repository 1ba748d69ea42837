// A plugin whose device is missing, and whose create() fails. With "BREAK" as the dtype it claims
// success without a backend.
#include <cstdio>
#include <cstring>

#include "reference_engine/backend/plugin.h"

namespace {

int32_t fail(TouchstoneError* error, const char* message, int32_t code) {
  std::snprintf(error->message, sizeof(error->message), "%s", message);
  std::snprintf(error->hint, sizeof(error->hint), "plug it in");
  return code;
}

int32_t probe(void*, TouchstoneError* error) {
  return fail(error, "no such device", TOUCHSTONE_UNAVAILABLE);
}
int32_t capabilities(void*, TouchstoneCapabilities*, TouchstoneError*) { return TOUCHSTONE_OK; }
int32_t create(void*, const TouchstoneCreateOptions* options, TouchstoneBackend**,
               TouchstoneError* error) {
  if (std::strcmp(options->dtype, "BREAK") == 0) return TOUCHSTONE_OK;
  return fail(error, "--dtype: got fp4, expected fp8", TOUCHSTONE_INVALID_ARGUMENT);
}
// Never reached: there is no backend to call them with.
void destroy(TouchstoneBackend*) {}
int32_t never(TouchstoneBackend*, TouchstoneError*) { return TOUCHSTONE_OK; }

template <typename Function>
void set(Function*& field) {
  field = reinterpret_cast<Function*>(reinterpret_cast<void*>(never));
}

}  // namespace

extern "C" const TouchstonePlugin* touchstone_backend_plugin() {
  static TouchstonePlugin table = {};
  table.abi_version = TOUCHSTONE_BACKEND_ABI_VERSION;
  table.struct_size = sizeof(table);
  table.name = "broken";
  table.probe = probe;
  table.capabilities = capabilities;
  table.create = create;
  table.destroy = destroy;
  set(table.model);
  set(table.size);
  set(table.allocate_kv);
  set(table.load_adapter);
  set(table.begin);
  set(table.preempted);
  set(table.end);
  set(table.submit);
  set(table.wait);
  return &table;
}
