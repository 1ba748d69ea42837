#include "reference_engine/engine/adapter_slots.h"

#include <algorithm>

#include "base/check.h"
#include "base/text.h"

namespace touchstone::engine {

AdapterSlots::AdapterSlots(backend::Backend& backend, int32_t slots)
    : backend_(backend), slots_(static_cast<size_t>(slots)) {}

Result<int32_t> AdapterSlots::acquire(const Adapter& adapter) {
  auto found = std::ranges::find(slots_, adapter.id, &Slot::adapter);
  if (found == slots_.end()) {
    if (failed_.contains(adapter.id)) {
      return unavailable("LoRA adapter " + quote(adapter.name) +
                         " could not be read again; it must be loaded anew");
    }
    found = slots_.begin() + static_cast<ptrdiff_t>(longest_unused());
    const auto index = static_cast<int32_t>(found - slots_.begin());
    const Status loaded = backend_.load_adapter(index, adapter.source);
    if (!loaded) {
      failed_.insert(adapter.id);
      return Error{loaded.error()}.with_context("LoRA adapter " + quote(adapter.name));
    }
    found->adapter = adapter.id;
  }
  found->holders += 1;
  found->last_use = ++uses_;
  return static_cast<int32_t>(found - slots_.begin());
}

void AdapterSlots::release(int32_t slot) {
  Slot& held = slots_[static_cast<size_t>(slot)];
  BASE_CHECK(held.holders > 0, "adapter slot ", slot);
  held.holders -= 1;
}

size_t AdapterSlots::longest_unused() const {
  size_t best = slots_.size();
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].holders > 0) continue;
    if (best == slots_.size() || slots_[i].last_use < slots_[best].last_use) best = i;
  }
  BASE_CHECK(best < slots_.size(), "every adapter slot is held");
  return best;
}

}  // namespace touchstone::engine
