// The table of linked backends, best first.
#include "reference_engine/backend/cpu/cpu_backend.h"
#include "reference_engine/backend/registry.h"

namespace touchstone::backend {

Registry linked_backends() {
  Registry registry;
  registry.add(cpu::cpu_factory());
  return registry;
}

}  // namespace touchstone::backend
