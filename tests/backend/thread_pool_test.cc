#include "reference_engine/backend/cpu/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <csignal>
#include <vector>

namespace touchstone::backend::cpu {
namespace {

TEST(ThreadPool, EveryItemRunsExactlyOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int64_t items : {0, 1, 2, 3, 7, 100, 1000}) {
      std::vector<std::atomic<int>> hits(static_cast<size_t>(items));
      pool.run(items, [&](int64_t item, int thread) {
        ASSERT_GE(thread, 0);
        ASSERT_LT(thread, threads);
        ++hits[static_cast<size_t>(item)];
      });
      for (const auto& hit : hits) ASSERT_EQ(hit.load(), 1);
    }
  }
}

TEST(ThreadPool, ManyShortLoopsDoNotMixTheirItems) {
  ThreadPool pool(4);
  for (int64_t loop = 0; loop < 20000; ++loop) {
    const int64_t items = 1 + loop % 9;
    std::atomic<int64_t> sum{0};
    pool.run(items, [&](int64_t item, int) { sum += loop + item; });
    ASSERT_EQ(sum.load(), loop * items + items * (items - 1) / 2) << loop;
  }
}

TEST(ThreadPool, WorkersTakeNoSignalsAndTheCallerStillDoes) {
  ThreadPool pool(3);
  std::atomic<int> wrong{0};
  pool.run(3000, [&](int64_t, int thread) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    const bool blocked = sigismember(&mask, SIGTERM) == 1;
    if (blocked != (thread != 0)) ++wrong;
  });
  EXPECT_EQ(wrong.load(), 0);
}

TEST(ThreadPool, AnUnusedPoolStops) { const ThreadPool pool(8); }

}  // namespace
}  // namespace touchstone::backend::cpu
