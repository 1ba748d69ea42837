// Sixteen f32 lanes: one __m512, two __m256, or an array. Included only by kernels_<isa>.cc, which
// say which by defining TOUCHSTONE_ISA (the namespace) and one of TOUCHSTONE_ISA_AVX512,
// TOUCHSTONE_ISA_AVX2; with neither it is portable C++.
//
// Every operation here is correctly rounded (IEEE 754) or exact, so equal sequences of operations
// give equal bits in all three. That is what makes results independent of the processor.
//
// These files are compiled with instruction-set flags. Nothing here may call an inline function of
// a library header: the linker could pick the copy with AVX for the whole program.
#pragma once

#include <cstdint>

#if defined(TOUCHSTONE_ISA_AVX512) || defined(TOUCHSTONE_ISA_AVX2)
#include <immintrin.h>
#endif

namespace touchstone::backend::cpu::TOUCHSTONE_ISA {

#define TOUCHSTONE_INLINE inline __attribute__((always_inline))

#if defined(TOUCHSTONE_ISA_AVX512)

struct Vec16 {
  __m512 v;
};
TOUCHSTONE_INLINE Vec16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
TOUCHSTONE_INLINE void store(float* p, Vec16 a) { _mm512_storeu_ps(p, a.v); }
TOUCHSTONE_INLINE Vec16 broadcast(float x) { return {_mm512_set1_ps(x)}; }
TOUCHSTONE_INLINE Vec16 add(Vec16 a, Vec16 b) { return {_mm512_add_ps(a.v, b.v)}; }
TOUCHSTONE_INLINE Vec16 sub(Vec16 a, Vec16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
TOUCHSTONE_INLINE Vec16 mul(Vec16 a, Vec16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
TOUCHSTONE_INLINE Vec16 div(Vec16 a, Vec16 b) { return {_mm512_div_ps(a.v, b.v)}; }
/// a > b ? a : b, so the second when either is NaN.
TOUCHSTONE_INLINE Vec16 max(Vec16 a, Vec16 b) { return {_mm512_max_ps(a.v, b.v)}; }
TOUCHSTONE_INLINE Vec16 min(Vec16 a, Vec16 b) { return {_mm512_min_ps(a.v, b.v)}; }
/// a * b + c, rounded once.
TOUCHSTONE_INLINE Vec16 fma(Vec16 a, Vec16 b, Vec16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
/// Sixteen bf16.
TOUCHSTONE_INLINE Vec16 load_bf16(const uint16_t* p) {
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16))};
}
/// The low or the high halves of sixteen 32-bit words.
TOUCHSTONE_INLINE Vec16 load_low_halves(const uint32_t* p) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16))};
}
TOUCHSTONE_INLINE Vec16 load_high_halves(const uint32_t* p) {
  const __m512i mask = _mm512_set1_epi32(static_cast<int>(0xFFFF0000U));
  return {_mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), mask))};
}
/// 2^n for the integers n that `magic` = n + 1.5 * 2^23 carries in its low bits.
TOUCHSTONE_INLINE Vec16 power_of_two(Vec16 magic) {
  const __m512i bits = _mm512_castps_si512(magic.v);
  return {
      _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(127)), 23))};
}
TOUCHSTONE_INLINE Vec16 round_to_bf16(Vec16 a) {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i sum = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd);
  const __m512i mask = _mm512_set1_epi32(static_cast<int>(0xFFFF0000U));
  return {_mm512_castsi512_ps(_mm512_and_si512(sum, mask))};
}

#elif defined(TOUCHSTONE_ISA_AVX2)

struct Vec16 {
  __m256 lo;
  __m256 hi;
};
TOUCHSTONE_INLINE Vec16 load(const float* p) {
  return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
TOUCHSTONE_INLINE void store(float* p, Vec16 a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
TOUCHSTONE_INLINE Vec16 broadcast(float x) {
  const __m256 v = _mm256_set1_ps(x);
  return {v, v};
}
TOUCHSTONE_INLINE Vec16 add(Vec16 a, Vec16 b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
TOUCHSTONE_INLINE Vec16 sub(Vec16 a, Vec16 b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
TOUCHSTONE_INLINE Vec16 mul(Vec16 a, Vec16 b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
TOUCHSTONE_INLINE Vec16 div(Vec16 a, Vec16 b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
TOUCHSTONE_INLINE Vec16 max(Vec16 a, Vec16 b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
TOUCHSTONE_INLINE Vec16 min(Vec16 a, Vec16 b) {
  return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
TOUCHSTONE_INLINE Vec16 fma(Vec16 a, Vec16 b, Vec16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
TOUCHSTONE_INLINE __m256 widen8(const uint16_t* p) {
  const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}
TOUCHSTONE_INLINE Vec16 load_bf16(const uint16_t* p) { return {widen8(p), widen8(p + 8)}; }
TOUCHSTONE_INLINE __m256i load_words(const uint32_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
TOUCHSTONE_INLINE Vec16 load_low_halves(const uint32_t* p) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(load_words(p), 16)),
          _mm256_castsi256_ps(_mm256_slli_epi32(load_words(p + 8), 16))};
}
TOUCHSTONE_INLINE Vec16 load_high_halves(const uint32_t* p) {
  const __m256i mask = _mm256_set1_epi32(static_cast<int>(0xFFFF0000U));
  return {_mm256_castsi256_ps(_mm256_and_si256(load_words(p), mask)),
          _mm256_castsi256_ps(_mm256_and_si256(load_words(p + 8), mask))};
}
TOUCHSTONE_INLINE __m256 power_of_two8(__m256 magic) {
  const __m256i bits = _mm256_castps_si256(magic);
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(127)), 23));
}
TOUCHSTONE_INLINE Vec16 power_of_two(Vec16 magic) {
  return {power_of_two8(magic.lo), power_of_two8(magic.hi)};
}
TOUCHSTONE_INLINE __m256 round_to_bf16_8(__m256 a) {
  const __m256i bits = _mm256_castps_si256(a);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i sum = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd);
  const __m256i mask = _mm256_set1_epi32(static_cast<int>(0xFFFF0000U));
  return _mm256_castsi256_ps(_mm256_and_si256(sum, mask));
}
TOUCHSTONE_INLINE Vec16 round_to_bf16(Vec16 a) {
  return {round_to_bf16_8(a.lo), round_to_bf16_8(a.hi)};
}

#else

// GCC's and clang's vector extension, which the compiler lowers to whatever the target has.
using Floats = float __attribute__((vector_size(64)));
using Words = uint32_t __attribute__((vector_size(64)));
using Doubles = double __attribute__((vector_size(64)));  // eight lanes
using LongWords = int64_t __attribute__((vector_size(64)));
using HalfFloats = float __attribute__((vector_size(32)));

struct Vec16 {
  Floats v;
};

TOUCHSTONE_INLINE Vec16 load(const float* p) {
  Vec16 a;
  __builtin_memcpy(&a.v, p, sizeof(a.v));
  return a;
}
TOUCHSTONE_INLINE void store(float* p, const Vec16& a) { __builtin_memcpy(p, &a.v, sizeof(a.v)); }
TOUCHSTONE_INLINE Vec16 broadcast(float x) { return {Floats{} + x}; }
TOUCHSTONE_INLINE Vec16 add(const Vec16& a, const Vec16& b) { return {a.v + b.v}; }
TOUCHSTONE_INLINE Vec16 sub(const Vec16& a, const Vec16& b) { return {a.v - b.v}; }
TOUCHSTONE_INLINE Vec16 mul(const Vec16& a, const Vec16& b) { return {a.v * b.v}; }
TOUCHSTONE_INLINE Vec16 div(const Vec16& a, const Vec16& b) { return {a.v / b.v}; }
TOUCHSTONE_INLINE Vec16 max(const Vec16& a, const Vec16& b) { return {a.v > b.v ? a.v : b.v}; }
TOUCHSTONE_INLINE Vec16 min(const Vec16& a, const Vec16& b) { return {a.v < b.v ? a.v : b.v}; }

#if defined(__FP_FAST_FMAF)
TOUCHSTONE_INLINE Vec16 fma(const Vec16& a, const Vec16& b, const Vec16& c) {
  Vec16 out;
  for (int i = 0; i < 16; ++i) out.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
  return out;
}
#else
/// fma without the instruction. The product is exact in double, so only the sum could be rounded
/// twice. That is avoided by rounding it to odd: when the double sum was not exact (2Sum: Knuth,
/// TAOCP 4.2.2) and its last bit is even, the neighbour towards the exact sum is taken.
/// (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008.)
/// Not inlined: it is long, and the kernels unroll their loops around it.
__attribute__((noinline)) inline HalfFloats fma8(HalfFloats a, HalfFloats b, HalfFloats c) {
  const Doubles product = __builtin_convertvector(a, Doubles) * __builtin_convertvector(b, Doubles);
  const Doubles addend = __builtin_convertvector(c, Doubles);
  const Doubles sum = product + addend;
  const Doubles part = sum - product;
  const Doubles error = (product - (sum - part)) + (addend - part);
  const LongWords bits = __builtin_bit_cast(LongWords, sum);
  const LongWords inexact = __builtin_bit_cast(LongWords, error) << 1;  // 0 for both zeros
  // Away from zero when error and sum have the same sign: the bit pattern grows by one.
  const LongWords differ = (__builtin_bit_cast(LongWords, error) ^ bits) >> 63;  // 0 or -1
  const LongWords step = (differ | 1) & ((bits & 1) - 1);
  // NaN and infinity have no neighbour; their error is NaN, never a finite number.
  const LongWords is_number = error == error;
  const LongWords odd = bits + (step & is_number & (inexact != 0));
  return __builtin_convertvector(__builtin_bit_cast(Doubles, odd), HalfFloats);
}
TOUCHSTONE_INLINE Vec16 fma(const Vec16& a, const Vec16& b, const Vec16& c) {
  HalfFloats x[2];
  HalfFloats y[2];
  HalfFloats z[2];
  __builtin_memcpy(x, &a.v, sizeof(x));
  __builtin_memcpy(y, &b.v, sizeof(y));
  __builtin_memcpy(z, &c.v, sizeof(z));
  const HalfFloats sums[2] = {fma8(x[0], y[0], z[0]), fma8(x[1], y[1], z[1])};
  Vec16 out;
  __builtin_memcpy(&out.v, sums, sizeof(sums));
  return out;
}
#endif

TOUCHSTONE_INLINE Vec16 from_words(const Words& words) {
  return {__builtin_bit_cast(Floats, words)};
}
TOUCHSTONE_INLINE Words words_at(const uint32_t* p) {
  Words words;
  __builtin_memcpy(&words, p, sizeof(words));
  return words;
}
TOUCHSTONE_INLINE Words words_of(const Vec16& a) { return __builtin_bit_cast(Words, a.v); }
TOUCHSTONE_INLINE Vec16 load_bf16(const uint16_t* p) {
  using Halves = uint16_t __attribute__((vector_size(32)));
  Halves halves;
  __builtin_memcpy(&halves, p, sizeof(halves));
  return from_words(__builtin_convertvector(halves, Words) << 16);
}
TOUCHSTONE_INLINE Vec16 load_low_halves(const uint32_t* p) { return from_words(words_at(p) << 16); }
TOUCHSTONE_INLINE Vec16 load_high_halves(const uint32_t* p) {
  return from_words(words_at(p) & 0xFFFF0000U);
}
TOUCHSTONE_INLINE Vec16 power_of_two(const Vec16& magic) {
  return from_words((words_of(magic) + 127U) << 23);
}
TOUCHSTONE_INLINE Vec16 round_to_bf16(const Vec16& a) {
  const Words bits = words_of(a);
  return from_words((bits + 0x7FFFU + ((bits >> 16) & 1U)) & 0xFFFF0000U);
}

#endif

}  // namespace touchstone::backend::cpu::TOUCHSTONE_ISA
