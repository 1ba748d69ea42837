#include "reference_engine/backend/cpu/thread_pool.h"

#include <pthread.h>

#include <csignal>

#include "base/check.h"

namespace touchstone::backend::cpu {
namespace {

// About 20 µs: longer than the gap between two loops of a step, shorter than anyone would notice.
constexpr int kSpins = 2000;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// Waits until `value` is no longer `old`: spinning first, then asleep.
template <typename T>
void await_change(std::atomic<T>& value, T old) {
  for (int i = 0; i < kSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  BASE_CHECK(threads >= 1, threads);
  // Workers take no signals, which are for the threads that wait for them; they inherit the mask.
  sigset_t all;
  sigset_t former;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &former);
  for (int thread = 1; thread < threads; ++thread) {
    workers_.emplace_back([this, thread] { worker(thread); });
  }
  pthread_sigmask(SIG_SETMASK, &former, nullptr);
}

ThreadPool::~ThreadPool() {
  stopping_.store(true, std::memory_order_relaxed);
  state_.fetch_add(uint64_t{1} << 32, std::memory_order_release);
  state_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

bool ThreadPool::take_item(int thread) {
  uint64_t state = state_.load(std::memory_order_acquire);
  do {
    if ((state & 0xFFFFFFFFU) == 0) return false;
  } while (!state_.compare_exchange_weak(state, state - 1, std::memory_order_acq_rel,
                                         std::memory_order_acquire));
  call_(context_, items_ - static_cast<int64_t>(state & 0xFFFFFFFFU), thread);
  if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) left_.notify_one();
  return true;
}

void ThreadPool::run_erased(int64_t items, Call call, const void* context) {
  if (items <= 0) return;
  BASE_CHECK(items < (int64_t{1} << 32), items);
  if (items == 1 || workers_.empty()) {
    for (int64_t item = 0; item < items; ++item) call(context, item, 0);
    return;
  }
  call_ = call;
  context_ = context;
  items_ = items;
  left_.store(items, std::memory_order_relaxed);
  const uint64_t loop = (state_.load(std::memory_order_relaxed) >> 32) + 1;
  state_.store(loop << 32 | static_cast<uint64_t>(items), std::memory_order_release);
  state_.notify_all();
  while (take_item(0)) {
  }
  for (int64_t left = left_.load(std::memory_order_acquire); left != 0;
       left = left_.load(std::memory_order_acquire)) {
    await_change(left_, left);
  }
}

void ThreadPool::worker(int thread) {
  for (;;) {
    while (take_item(thread)) {
    }
    if (stopping_.load(std::memory_order_relaxed)) return;
    const uint64_t state = state_.load(std::memory_order_acquire);
    if ((state & 0xFFFFFFFFU) == 0) await_change(state_, state);
  }
}

}  // namespace touchstone::backend::cpu
