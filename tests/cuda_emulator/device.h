// The words of reference_engine/backend/cuda/kernels/device.h, emulated and checked.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "reference_engine/backend/cuda/kernels/elements.h"
#include "reference_engine/model/tensor.h"
#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/memory_check.h"

#define TOUCHSTONE_KERNEL static void
#define TOUCHSTONE_DEVICE static inline
#define TOUCHSTONE_DEVICE_MEMBER inline
#define TOUCHSTONE_BOUNDS(threads, blocks)
#define TOUCHSTONE_UNROLL
#define TOUCHSTONE_UNROLL_BY(count)
#define TOUCHSTONE_SHARED(T, name, count)                                                     \
  static const char name##_tag = 0;                                                           \
  const ::touchstone::backend::cuda::Shared<T> name {                                         \
    ::touchstone::cuda_emulator::static_shared(&name##_tag, sizeof(T) * size_t{count}), count \
  }

namespace touchstone::backend::cuda {

namespace emulator = ::touchstone::cuda_emulator;
using emulator::Access;

inline int thread_index() { return emulator::block().thread->index; }
inline int block_threads() { return emulator::block().threads; }
inline int lane() { return thread_index() % emulator::kWarp; }
inline int warp() { return thread_index() / emulator::kWarp; }
inline Grid block_index() {
  const emulator::Dim3 index = emulator::block().index;
  return {index.x, index.y, index.z};
}
inline Grid grid_size() {
  const emulator::Dim3 grid = emulator::block().grid;
  return {grid.x, grid.y, grid.z};
}

inline void sync_block() { emulator::sync_block(); }
inline void sync_warp() { emulator::sync_warp(); }

template <typename T>
T shuffle(T value, int from) {
  struct Lane {
    T value;
    int from;
  } mine{value, from};
  emulator::exchange("a shuffle", &mine, [](void* const* lanes) {
    T values[emulator::kWarp];
    for (int i = 0; i < emulator::kWarp; ++i) values[i] = static_cast<Lane*>(lanes[i])->value;
    for (int i = 0; i < emulator::kWarp; ++i) {
      Lane& lane = *static_cast<Lane*>(lanes[i]);
      lane.value = values[lane.from & (emulator::kWarp - 1)];
    }
  });
  return mine.value;
}
template <typename T>
T shuffle_xor(T value, int mask) {
  return shuffle(value, lane() ^ mask);
}
inline uint32_t ballot(bool condition) {
  uint32_t mine = condition ? 1 : 0;
  emulator::exchange("a vote", &mine, [](void* const* lanes) {
    uint32_t mask = 0;
    for (int i = 0; i < emulator::kWarp; ++i) mask |= *static_cast<uint32_t*>(lanes[i]) << i;
    for (int i = 0; i < emulator::kWarp; ++i) *static_cast<uint32_t*>(lanes[i]) = mask;
  });
  return mine;
}

template <typename T>
T load(const T* p) {
  return emulator::check_global(p, sizeof(T), Access::kRead) ? *p : T{};
}
template <typename T>
void store(T* p, std::type_identity_t<T> value) {
  if (emulator::check_global(p, sizeof(T), Access::kWrite)) *p = value;
}
template <typename T>
Pack<T> load_pack(const T* p) {
  Pack<T> pack = {};
  if (emulator::check_global(p, sizeof(pack), Access::kRead)) std::memcpy(&pack, p, sizeof(pack));
  return pack;
}
template <typename T>
void store_pack(T* p, const Pack<T>& pack) {
  if (emulator::check_global(p, sizeof(pack), Access::kWrite)) std::memcpy(p, &pack, sizeof(pack));
}
inline void atomic_add(int32_t* p, int32_t value) {
  if (emulator::check_global(p, sizeof(*p), Access::kAtomic)) *p += value;
}

inline void atomic_mask(float* p) {
  if (emulator::check_global(p, sizeof(*p), Access::kAtomic)) *p = -INFINITY;
}
template <typename T>
T load_struct(const T* p) {
  static_assert(sizeof(T) % alignof(T) == 0);
  const auto* words = reinterpret_cast<const uint32_t*>(p);
  for (size_t i = 0; i < sizeof(T) / sizeof(*words); ++i) {
    if (!emulator::check_global(words + i, sizeof(*words), Access::kRead)) return {};
  }
  return *p;
}

/// `count` elements of the block's shared memory from byte `offset` on.
template <typename T>
class Shared {
 public:
  Shared(size_t offset, int count) : offset_(offset), count_(count) {}

  /// Reads when it is converted, writes when it is assigned to.
  class Element {
   public:
    Element(const Shared& array, int i) : array_(array), i_(i) {}
    operator T() const {  // NOLINT: as the reference that it stands for
      return array_.touch(i_, 1, Access::kRead) ? *array_.at(i_) : T{};
    }
    void operator=(T value) const {
      if (array_.touch(i_, 1, Access::kWrite)) *array_.at(i_) = value;
    }
    void operator=(const Element& other) const { *this = static_cast<T>(other); }

   private:
    const Shared& array_;
    int i_;
  };
  Element operator[](int i) const { return Element(*this, i); }
  Shared part(int first, int count) const {
    if (first < 0 || count < 0 || first + count > count_) {
      emulator::report("shared memory: part [" + std::to_string(first) + ", " +
                       std::to_string(first + count) + ") of " + std::to_string(count_));
    }
    return Shared(offset_ + sizeof(T) * static_cast<size_t>(first), count);
  }

  /// Whether an access to elements [i, i + count) may go on; if not, it was reported.
  bool touch(int i, int count, Access access) const {
    return inside(i, count) &&
           emulator::shared_shadow().check(byte(i), sizeof(T) * static_cast<size_t>(count), access);
  }
  bool touch_pack(int i, Access access) const {
    if (byte(i) % sizeof(Pack<T>) == 0) return touch(i, Pack<T>::kSize, access);
    emulator::report("shared memory: 16 bytes at byte " + std::to_string(byte(i)));
    return false;
  }
  bool inside(int i, int count) const {
    if (i >= 0 && i + count <= count_) return true;
    emulator::report("shared memory: element " + std::to_string(i + count - 1) + " of " +
                     std::to_string(count_));
    return false;
  }
  T* at(int i) const { return reinterpret_cast<T*>(emulator::shared_memory() + byte(i)); }
  size_t byte(int i) const { return offset_ + sizeof(T) * static_cast<size_t>(i); }

 private:
  size_t offset_;
  int count_;
};

template <typename T>
Shared<T> dynamic_shared(int byte, int count) {
  if (static_cast<size_t>(byte) + sizeof(T) * static_cast<size_t>(count) >
      emulator::dynamic_shared_bytes()) {
    emulator::report(
        "shared memory: an array ends at byte " +
        std::to_string(static_cast<size_t>(byte) + sizeof(T) * static_cast<size_t>(count)) +
        " of " + std::to_string(emulator::dynamic_shared_bytes()));
    count = 0;
  }
  return Shared<T>(static_cast<size_t>(byte), count);
}
template <typename T>
Pack<T> load_pack(const Shared<T>& array, int i) {
  Pack<T> pack = {};
  if (array.touch_pack(i, Access::kRead)) std::memcpy(&pack, array.at(i), sizeof(pack));
  return pack;
}
template <typename T>
void store_pack(const Shared<T>& array, int i, const Pack<T>& pack) {
  if (array.touch_pack(i, Access::kWrite)) std::memcpy(array.at(i), &pack, sizeof(pack));
}
inline int32_t atomic_add(const Shared<int32_t>& array, int i, int32_t value) {
  if (!array.touch(i, 1, Access::kAtomic)) return 0;
  return std::exchange(*array.at(i), *array.at(i) + value);
}

/// Copies arrive when they are waited for, and not before.
template <typename T>
void copy_async(const Shared<T>& array, int i, const T* p, bool valid) {
  if (!array.inside(i, Pack<T>::kSize)) return;
  const bool copies = valid && emulator::check_global(p, sizeof(Pack<T>), Access::kRead);
  emulator::start_copy(array.byte(i), copies ? p : nullptr);
}
inline void copy_async_commit() { emulator::commit_copies(); }
template <int kPending>
void copy_async_wait() {
  emulator::wait_copies(kPending);
}

/// The part of load_matrices() and mma that all 32 lanes do together: fragments.cc.
struct MatrixLanes {
  uint16_t rows[8];  // of the row that this lane hands in
  bool transposed;
  uint32_t registers[4];
};
void combine_matrices(void* const* lanes);
struct Mma16Lanes {
  const uint32_t* a;
  const uint32_t* b;
  float* d;
};
void combine_mma_bf16(void* const* lanes);
void combine_mma_f16(void* const* lanes);
struct Mma8Lanes {
  const float* a;
  const float* b;
  float* d;
};
void combine_mma_f32(void* const* lanes);

template <typename T>
void load_matrices(uint32_t (&r)[4], const Shared<T>& array, int i, bool transposed) {
  static_assert(sizeof(T) == 2);
  MatrixLanes mine = {.rows = {}, .transposed = transposed, .registers = {}};
  const Pack<T> row = load_pack(array, i);
  std::memcpy(mine.rows, &row, sizeof(row));
  emulator::exchange("ldmatrix", &mine, combine_matrices);
  std::memcpy(r, mine.registers, sizeof(r));
}
template <typename T>
void mma16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  Mma16Lanes mine = {a, b, d};
  emulator::exchange("mma", &mine,
                     std::is_same_v<T, BFloat16> ? combine_mma_bf16 : combine_mma_f16);
}
inline void mma8(float (&d)[4], const float (&a)[4], const float (&b)[2]) {
  Mma8Lanes mine = {a, b, d};
  emulator::exchange("mma", &mine, combine_mma_f32);
}

inline float to_float(float x) { return x; }
inline float to_float(BFloat16 x) { return model::bf16_to_float(x.bits); }
inline float to_float(Half x) { return model::f16_to_float(x.bits); }
/// To an IEEE half, round to nearest even.
uint16_t float_to_f16(float x);
template <typename T>
T from_float(float x) {
  if constexpr (std::is_same_v<T, float>) {
    return x;
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return {model::float_to_bf16(x)};
  } else {
    return {float_to_f16(x)};
  }
}

inline float exp2_fast(float x) { return std::exp2(x); }
inline float erf_of(float x) { return std::erf(x); }
inline float tanh_of(float x) { return std::tanh(x); }
inline float sqrt_rn(float x) { return std::sqrt(x); }
inline float div_rn(float a, float b) { return a / b; }
inline double log_of(double x) { return std::log(x); }
inline double add_rn(double a, double b) { return a + b; }
inline double mul_rn(double a, double b) { return a * b; }
inline float add_rn(float a, float b) { return a + b; }
inline float mul_rn(float a, float b) { return a * b; }
inline float fma_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline uint32_t bits_of(float x) { return std::bit_cast<uint32_t>(x); }
inline uint64_t bits_of(double x) { return std::bit_cast<uint64_t>(x); }
inline double double_of(uint64_t bits) { return std::bit_cast<double>(bits); }
inline float float_of(uint32_t bits) { return std::bit_cast<float>(bits); }

template <typename... P>
void launch(const char* name, void (*kernel)(P...), Grid grid, int threads, int64_t shared_bytes,
            void* /*stream*/, const std::type_identity_t<P>&... args) {
  emulator::run({.kernel = name,
                 .grid = {grid.x, grid.y, grid.z},
                 .threads = threads,
                 .shared_bytes = static_cast<size_t>(shared_bytes),
                 .body = [&] { kernel(args...); }});
}

}  // namespace touchstone::backend::cuda
