// The few words that the kernels use of CUDA. For nvcc they are the language itself
// (device_cuda.h), elsewhere tests/cuda_emulator/ gives them the same meaning and checks each use.
// Kernels touch memory through load(), store() and Shared alone, so that every access is seen.
//
//   thread_index() block_threads() lane() warp()   within a block of one dimension, whole warps
//   block_index() grid_size()                      .x .y .z
//   sync_block() sync_warp()                       all threads of the block, of the warp
//   shuffle(value, lane) shuffle_xor(value, mask)  full warps; order no memory accesses
//   ballot(condition)
//   load(p) store(p, value)                        global memory, one element
//   load_pack(p) store_pack(p, pack)               the same, 16 bytes, aligned
//   load_struct(p)                                 the same, a struct of 4- and 8-byte fields
//   atomic_add(p, value)                           global: integers alone, whose sums have no order
//   atomic_mask(p)                                 a float becomes minus infinity
//   Shared<T>                                      shared memory: array[i], a.part(first, count),
//                                                  load_pack(a, i), store_pack(a, i, pack),
//                                                  atomic_add(a, i, value) gives what was there
//   TOUCHSTONE_SHARED(T, name, count)              a static array; dynamic_shared<T>(byte, count)
//   copy_async(a, i, p, valid)                     16 bytes to shared; zeros when not valid
//   copy_async_commit() copy_async_wait<n>()       groups; at most n may still be under way
//   load_matrices(registers, a, i, transposed)     ldmatrix.x4
//   mma(c, a, b) on registers of BFloat16, Half, float: fragments.h
//   to_float(x) from_float<T>(x)                   round to nearest even
//   exp2_fast(x)                                   2^x to about 2e-7
//   erf_of(x) tanh_of(x) log_of(x) sqrt_rn(x) div_rn(x, y)
//   add_rn mul_rn fma_rn                           one rounding each, never fused by the compiler
//   launch(name, kernel, grid, threads, shared_bytes, stream, args...)
#pragma once

#if defined(__CUDACC__)
#include "reference_engine/backend/cuda/kernels/device_cuda.h"
#else
#include "tests/cuda_emulator/device.h"
#endif
