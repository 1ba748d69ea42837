// Steps in the steady state allocate nothing: every operator new of this program is counted.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <numeric>

#include "reference_engine/scheduler/block_hash.h"
#include "reference_engine/scheduler/scheduler.h"

namespace {
int64_t allocations = 0;
}  // namespace

// Not inlined: where only one of a pair is, GCC takes malloc and delete for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  void* const memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
// std::stable_sort's; whoever replaces one form must replace both, as both end in the same delete.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace touchstone::scheduler {
namespace {

TEST(Allocation, StepsAllocateNothing) {
  // Tight enough to preempt, with shared prefixes, chunked prefill and blocks hashed by decoding.
  Scheduler scheduler({.num_blocks = 65,
                       .block_size = 16,
                       .max_num_seqs = 16,
                       .max_num_batched_tokens = 64,
                       .max_model_len = 1024});
  std::vector<SampledToken> sampled;
  sampled.reserve(16);
  const auto step = [&] {
    const StepPlan& plan = scheduler.schedule();
    sampled.clear();
    for (const ScheduledRequest& r : plan.scheduled) {
      if (r.samples_token) sampled.push_back({r.id, static_cast<TokenId>(r.id), false});
    }
    scheduler.complete(sampled);
  };
  for (RequestId id = 1; id <= 40; ++id) {
    std::vector<TokenId> prompt(100);
    std::iota(prompt.begin(), prompt.end(), static_cast<TokenId>(id % 3));
    NewRequest request{.id = id, .max_tokens = 100};
    set_prompt(request, {}, prompt, 16);
    ASSERT_TRUE(scheduler.add(std::move(request)));
  }
  int64_t steps = 0;
  const int64_t before = allocations;
  while (scheduler.has_requests()) {
    step();
    ++steps;
  }
  EXPECT_EQ(allocations, before) << "in " << steps << " steps";
  EXPECT_GT(steps, 100);
  EXPECT_GT(scheduler.counters().preemptions, 0);
  EXPECT_GT(scheduler.counters().prefix_cache_hits, 0);
}

}  // namespace
}  // namespace touchstone::scheduler
