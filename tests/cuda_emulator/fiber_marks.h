// Tells AddressSanitizer and ThreadSanitizer when the stack changes; nothing without them.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace touchstone::cuda_emulator {

/// One fiber, or what runs them.
struct FiberMark {
  const void* stack = nullptr;  ///< its lowest address; of the runner it is found out
  size_t stack_bytes = 0;
  void* state = nullptr;  // of the sanitizer
};

/// Right before the switch from `from` to `to`.
inline void leave([[maybe_unused]] FiberMark& from, [[maybe_unused]] FiberMark& to) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&from.state, to.stack, to.stack_bytes);
#elif defined(__SANITIZE_THREAD__)
  if (from.state == nullptr) from.state = __tsan_get_current_fiber();
  if (to.state == nullptr) to.state = __tsan_create_fiber(0);
  __tsan_switch_to_fiber(to.state, 0);
#endif
}

/// Right after the switch, on `to`.
inline void arrive([[maybe_unused]] FiberMark& to, [[maybe_unused]] FiberMark& from) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(to.state, &from.stack, &from.stack_bytes);
#endif
}

}  // namespace touchstone::cuda_emulator
