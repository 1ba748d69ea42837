// Which adapter lies in which of the backend's slots: loaded when a request of it is first planned,
// and put out for another when it was not used for longest. Thread-compatible; the engine thread's
// own. Source: vLLM 0.32 lora/worker_manager.py (LRUCacheWorkerLoRAManager).
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "base/result.h"
#include "reference_engine/backend/backend.h"
#include "reference_engine/engine/adapter.h"

namespace touchstone::engine {

class AdapterSlots final {
 public:
  /// The backend was made with `slots` slots, and outlives this.
  AdapterSlots(backend::Backend& backend, int32_t slots);

  /// The adapter's slot, which keeps it until release() was called as often. Reads the adapter when
  /// it is in none. REQUIRES: fewer slots are held than there are.
  /// ERRORS: as Backend::load_adapter(). That id fails from then on, since what was to be computed
  /// with it may be in the prefix cache.
  Result<int32_t> acquire(const Adapter& adapter);
  void release(int32_t slot);

 private:
  struct Slot {
    int32_t adapter = 0;  // 0: none
    int32_t holders = 0;
    int64_t last_use = 0;
  };
  size_t longest_unused() const;

  backend::Backend& backend_;
  std::vector<Slot> slots_;
  std::set<int32_t> failed_;
  int64_t uses_ = 0;
};

}  // namespace touchstone::engine
