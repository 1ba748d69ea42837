// Compiled with -march=native: the ceiling is this machine's, whatever the benchmarked code uses.
#include "bench/kernels_ceilings.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <thread>

#include "base/check.h"
#include "base/clock.h"
#include "reference_engine/backend/cpu/buffer.h"

namespace touchstone::bench {
namespace {

using backend::cpu::ThreadPool;
using Floats = float __attribute__((vector_size(64)));
using Words = uint64_t __attribute__((vector_size(64)));

constexpr int kTries = 7;
constexpr int64_t kReadBytes = int64_t{512} << 20;
constexpr int64_t kPrefetchLines = 32;

uint64_t read_all(const Words* words, int64_t count) {
  Words sums[8] = {};
  for (int64_t i = 0; i + 8 <= count; i += 8) {
    for (int j = 0; j < 8; ++j) {
      __builtin_prefetch(words + i + j + kPrefetchLines);
      sums[j] += words[i + j];
    }
  }
  for (int j = 1; j < 8; ++j) sums[0] += sums[j];
  return sums[0][0];
}

// 24 independent sums: enough to hide the latency of any current processor, few enough for 32
// registers.
constexpr int kSums = 24;
constexpr int64_t kSteps = 2'000'000;

float multiply_add_all(float seed) {
  Floats sums[kSums];
  for (int j = 0; j < kSums; ++j) sums[j] = Floats{} + static_cast<float>(j);
  const Floats factor = Floats{} + seed;
  const Floats addend = Floats{} + 1e-3F;
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 32
    for (int j = 0; j < kSums; ++j) sums[j] = sums[j] * factor + addend;
  }
  for (int j = 1; j < kSums; ++j) sums[0] += sums[j];
  return sums[0][0];
}

/// Shortest of several runs of `work` on all threads, in seconds.
template <typename Work>
double shortest(ThreadPool& pool, const Work& work) {
  const RealClock clock;
  int64_t best = INT64_MAX;
  for (int i = 0; i < kTries; ++i) {
    const int64_t start = clock.monotonic_ns();
    pool.run(pool.threads(), [&](int64_t item, int) { work(item); });
    best = std::min(best, clock.monotonic_ns() - start);
  }
  return static_cast<double>(best) * 1e-9;
}

Ceilings measure(ThreadPool& pool) {
  Ceilings result;
  volatile uint64_t sink = 0;
  {
    // The same kind of memory as the weights have: large pages make a third more bandwidth.
    auto memory = backend::cpu::Buffer::make(kReadBytes, "bandwidth test");
    BASE_CHECK(memory.has_value(), memory.error().message);
    std::memset(memory->data(), 1, kReadBytes);
    const auto* words = reinterpret_cast<const Words*>(memory->data());
    const int64_t share = kReadBytes / static_cast<int64_t>(sizeof(Words)) / pool.threads();
    const double seconds =
        shortest(pool, [&](int64_t item) { sink = read_all(words + item * share, share); });
    result.read_bytes_per_second =
        static_cast<double>(share * pool.threads()) * sizeof(Words) / seconds;
  }
  volatile float seed = 0.999F;
  const double seconds =
      shortest(pool, [&](int64_t) { sink = static_cast<uint64_t>(multiply_add_all(seed)); });
  result.flops_per_second = 2.0 * 16 * kSums * kSteps * pool.threads() / seconds;
  return result;
}

}  // namespace

ThreadPool& pool() {
  static ThreadPool instance(static_cast<int>(std::thread::hardware_concurrency()));
  return instance;
}

const Ceilings& ceilings() {
  static const Ceilings measured = measure(pool());
  return measured;
}

int run_beside_ceilings(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  const Ceilings& best = ceilings();
  std::printf("ceilings: read %.1f GB/s, f32 multiply-add %.0f GFLOP/s, %d threads\n",
              best.read_bytes_per_second * 1e-9, best.flops_per_second * 1e-9, pool().threads());
  return 0;
}

}  // namespace touchstone::bench
