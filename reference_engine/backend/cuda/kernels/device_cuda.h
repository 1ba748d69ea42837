// device.h for nvcc.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "reference_engine/backend/cuda/kernels/elements.h"

#define TOUCHSTONE_KERNEL static __global__ void
#define TOUCHSTONE_DEVICE static __device__ __forceinline__
#define TOUCHSTONE_DEVICE_MEMBER __device__ __forceinline__
#define TOUCHSTONE_BOUNDS(threads, blocks) __launch_bounds__(threads, blocks)
#define TOUCHSTONE_UNROLL _Pragma("unroll")
#define TOUCHSTONE_PRAGMA(text) _Pragma(#text)
#define TOUCHSTONE_UNROLL_BY(count) TOUCHSTONE_PRAGMA(unroll count)
#define TOUCHSTONE_SHARED(T, name, count) \
  __shared__ T name##_storage[count];     \
  const ::touchstone::backend::cuda::Shared<T> name { name##_storage }

namespace touchstone::backend::cuda {

TOUCHSTONE_DEVICE int thread_index() { return static_cast<int>(threadIdx.x); }
TOUCHSTONE_DEVICE int block_threads() { return static_cast<int>(blockDim.x); }
TOUCHSTONE_DEVICE int lane() { return static_cast<int>(threadIdx.x & 31U); }
TOUCHSTONE_DEVICE int warp() { return static_cast<int>(threadIdx.x >> 5U); }
TOUCHSTONE_DEVICE Grid block_index() {
  return {static_cast<int>(blockIdx.x), static_cast<int>(blockIdx.y), static_cast<int>(blockIdx.z)};
}
TOUCHSTONE_DEVICE Grid grid_size() {
  return {static_cast<int>(gridDim.x), static_cast<int>(gridDim.y), static_cast<int>(gridDim.z)};
}

TOUCHSTONE_DEVICE void sync_block() { __syncthreads(); }
TOUCHSTONE_DEVICE void sync_warp() { __syncwarp(); }
template <typename T>
TOUCHSTONE_DEVICE T shuffle(T value, int from) {
  return __shfl_sync(0xFFFFFFFFU, value, from);
}
template <typename T>
TOUCHSTONE_DEVICE T shuffle_xor(T value, int mask) {
  return __shfl_xor_sync(0xFFFFFFFFU, value, mask);
}
TOUCHSTONE_DEVICE uint32_t ballot(bool condition) { return __ballot_sync(0xFFFFFFFFU, condition); }

template <typename T>
TOUCHSTONE_DEVICE T load(const T* p) {
  return *p;
}
template <typename T>
TOUCHSTONE_DEVICE void store(T* p, T value) {
  *p = value;
}
template <typename T>
TOUCHSTONE_DEVICE Pack<T> load_pack(const T* p) {
  return *reinterpret_cast<const Pack<T>*>(p);
}
// In so many words: the compiler would cut the store of a struct of 16-bit elements into pieces.
template <typename T>
TOUCHSTONE_DEVICE uint4 words_of(const Pack<T>& pack) {
  uint4 words;
  memcpy(&words, &pack, sizeof(words));
  return words;
}
template <typename T>
TOUCHSTONE_DEVICE void store_pack(T* p, const Pack<T>& pack) {
  const uint4 words = words_of(pack);
  asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(p), "r"(words.x), "r"(words.y),
               "r"(words.z), "r"(words.w)
               : "memory");
}
TOUCHSTONE_DEVICE void atomic_add(int32_t* p, int32_t value) { atomicAdd(p, value); }
TOUCHSTONE_DEVICE void atomic_mask(float* p) {
  atomicExch(reinterpret_cast<unsigned*>(p), 0xFF800000U);
}
/// A struct of 4- and 8-byte fields.
template <typename T>
TOUCHSTONE_DEVICE T load_struct(const T* p) {
  return *p;
}

template <typename T>
struct Shared {
  T* data;
  __device__ __forceinline__ T& operator[](int i) const { return data[i]; }
  __device__ __forceinline__ Shared part(int first, int) const { return {data + first}; }
};
template <typename T>
TOUCHSTONE_DEVICE Shared<T> dynamic_shared(int byte, int) {
  extern __shared__ __align__(16) unsigned char touchstone_dynamic_shared[];
  return {reinterpret_cast<T*>(touchstone_dynamic_shared + byte)};
}
template <typename T>
TOUCHSTONE_DEVICE Pack<T> load_pack(const Shared<T>& array, int i) {
  return load_pack(array.data + i);
}
template <typename T>
TOUCHSTONE_DEVICE void store_pack(const Shared<T>& array, int i, const Pack<T>& pack) {
  const uint32_t to = static_cast<uint32_t>(__cvta_generic_to_shared(array.data + i));
  const uint4 words = words_of(pack);
  asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(words.x), "r"(words.y),
               "r"(words.z), "r"(words.w)
               : "memory");
}
TOUCHSTONE_DEVICE int32_t atomic_add(const Shared<int32_t>& array, int i, int32_t value) {
  return atomicAdd(array.data + i, value);
}

template <typename T>
TOUCHSTONE_DEVICE void copy_async(const Shared<T>& array, int i, const T* p, bool valid) {
  const uint32_t to = static_cast<uint32_t>(__cvta_generic_to_shared(array.data + i));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(p),
               "r"(valid ? 16 : 0)
               : "memory");
}
TOUCHSTONE_DEVICE void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kPending>
TOUCHSTONE_DEVICE void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

/// Four 8x8 matrices of 16-bit elements; lane l hands in the row l % 8 of matrix l / 8.
template <typename T>
TOUCHSTONE_DEVICE void load_matrices(uint32_t (&r)[4], const Shared<T>& array, int i,
                                     bool transposed) {
  static_assert(sizeof(T) == 2);
  const uint32_t from = static_cast<uint32_t>(__cvta_generic_to_shared(array.data + i));
  if (transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(from)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(from)
                 : "memory");
  }
}

/// D = A · B + D, m16n8k16; the register layout is PTX's.
template <typename T>
TOUCHSTONE_DEVICE void mma16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
        "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    static_assert(std::is_same_v<T, Half>);
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
        "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
}

/// The same product in f32, m16n8k8 in the register layout that PTX documents for tf32, with fused
/// multiply-adds in order of k: tensor cores would drop bits.
TOUCHSTONE_DEVICE void mma8(float (&d)[4], const float (&a)[4], const float (&b)[2]) {
  const int group = lane() / 4;
  const int column = lane() % 4 * 2;
  TOUCHSTONE_UNROLL
  for (int k = 0; k < 8; ++k) {
    const int a_lane = group * 4 + k % 4;
    const float upper = shuffle(a[k / 4 * 2], a_lane);
    const float lower = shuffle(a[k / 4 * 2 + 1], a_lane);
    const float left = shuffle(b[k / 4], column * 4 + k % 4);
    const float right = shuffle(b[k / 4], (column + 1) * 4 + k % 4);
    d[0] = __fmaf_rn(upper, left, d[0]);
    d[1] = __fmaf_rn(upper, right, d[1]);
    d[2] = __fmaf_rn(lower, left, d[2]);
    d[3] = __fmaf_rn(lower, right, d[3]);
  }
}

TOUCHSTONE_DEVICE float to_float(float x) { return x; }
TOUCHSTONE_DEVICE float to_float(BFloat16 x) { return __uint_as_float(uint32_t{x.bits} << 16); }
TOUCHSTONE_DEVICE float to_float(Half x) {
  float out;
  asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"(x.bits));
  return out;
}
template <typename T>
TOUCHSTONE_DEVICE T from_float(float x) {
  if constexpr (std::is_same_v<T, float>) {
    return x;
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    BFloat16 out;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(out.bits) : "f"(x));
    return out;
  } else {
    Half out;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out.bits) : "f"(x));
    return out;
  }
}

TOUCHSTONE_DEVICE float exp2_fast(float x) {
  float out;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(x));
  return out;
}
TOUCHSTONE_DEVICE float erf_of(float x) { return erff(x); }
TOUCHSTONE_DEVICE float tanh_of(float x) { return tanhf(x); }
TOUCHSTONE_DEVICE float sqrt_rn(float x) { return __fsqrt_rn(x); }
TOUCHSTONE_DEVICE float div_rn(float a, float b) { return __fdiv_rn(a, b); }
TOUCHSTONE_DEVICE double log_of(double x) { return log(x); }
TOUCHSTONE_DEVICE double add_rn(double a, double b) { return __dadd_rn(a, b); }
TOUCHSTONE_DEVICE double mul_rn(double a, double b) { return __dmul_rn(a, b); }
TOUCHSTONE_DEVICE float add_rn(float a, float b) { return __fadd_rn(a, b); }
TOUCHSTONE_DEVICE float mul_rn(float a, float b) { return __fmul_rn(a, b); }
TOUCHSTONE_DEVICE float fma_rn(float a, float b, float c) { return __fmaf_rn(a, b, c); }
TOUCHSTONE_DEVICE uint32_t bits_of(float x) { return __float_as_uint(x); }
TOUCHSTONE_DEVICE uint64_t bits_of(double x) {
  return static_cast<uint64_t>(__double_as_longlong(x));
}
TOUCHSTONE_DEVICE double double_of(uint64_t bits) {
  return __longlong_as_double(static_cast<long long>(bits));
}
TOUCHSTONE_DEVICE float float_of(uint32_t bits) { return __uint_as_float(bits); }

/// A launch with more than 48 KiB of dynamic shared memory asks for it first.
template <typename... P>
void launch(const char* /*name*/, void (*kernel)(P...), Grid grid, int threads,
            int64_t shared_bytes, void* stream, const std::type_identity_t<P>&... args) {
  constexpr int64_t kUnasked = 48 << 10;
  if (shared_bytes > kUnasked) {
    cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                         cudaFuncAttributeMaxDynamicSharedMemorySize,
                         static_cast<int>(shared_bytes));
  }
  const dim3 blocks(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y),
                    static_cast<unsigned>(grid.z));
  kernel<<<blocks, static_cast<unsigned>(threads), static_cast<size_t>(shared_bytes),
           static_cast<cudaStream_t>(stream)>>>(args...);
}

}  // namespace touchstone::backend::cuda
