// An allocator for large arrays that are walked over at random: asks the kernel for huge pages, of
// which a few cover what would need more small ones than a processor has entries for. Where it has
// none to give, memory is as always. Thread-safe.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>

#include "base/check.h"

namespace touchstone {

template <typename T>
struct HugePageAllocator {
  using value_type = T;
  HugePageAllocator() = default;
  template <typename U>
  HugePageAllocator(const HugePageAllocator<U>&) {}  // NOLINT: implicit, as an allocator's must be

  T* allocate(size_t count) {
    constexpr size_t kHuge = size_t{2} << 20;
    size_t bytes = count * sizeof(T);
    const bool large = bytes >= kHuge;
    const size_t alignment = large                         ? kHuge
                             : alignof(T) < alignof(void*) ? alignof(void*)
                                                           : alignof(T);
    bytes = (bytes + alignment - 1) / alignment * alignment;
    void* const memory = std::aligned_alloc(alignment, bytes);
    BASE_CHECK(memory != nullptr, "no memory for ", bytes, " bytes");
    if (large) (void)::madvise(memory, bytes, MADV_HUGEPAGE);
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t) { std::free(memory); }
  bool operator==(const HugePageAllocator&) const { return true; }
};

}  // namespace touchstone
