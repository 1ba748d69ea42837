// The CPU backend as a shared object behind the C table: how a plugin is made, and the proof that
// nothing is lost on the way (the tests compare it with the linked one, bit by bit).
#include "reference_engine/backend/cpu/cpu_backend.h"
#include "reference_engine/backend/plugin_export.h"

extern "C" __attribute__((visibility("default"))) const TouchstonePlugin*
touchstone_backend_plugin() {
  static const std::unique_ptr<touchstone::backend::BackendFactory> kFactory =
      touchstone::backend::cpu::cpu_factory();
  static const TouchstonePlugin kTable =
      touchstone::backend::export_plugin(*kFactory, "cpu-plugin");
  return &kTable;
}
