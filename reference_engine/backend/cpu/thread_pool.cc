#include "reference_engine/backend/cpu/thread_pool.h"

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
  for (int thread = 1; thread < threads; ++thread) {
    workers_.emplace_back([this, thread] { worker(thread); });
  }
}

ThreadPool::~ThreadPool() {
  stopping_ = true;
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::take_items(int thread) {
  for (;;) {
    const int64_t item = next_.fetch_add(1, std::memory_order_relaxed);
    if (item >= items_) return;
    call_(context_, item, thread);
  }
}

void ThreadPool::run_erased(int64_t items, Call call, const void* context) {
  if (items <= 0) return;
  if (items == 1 || workers_.empty()) {
    for (int64_t item = 0; item < items; ++item) call(context, item, 0);
    return;
  }
  call_ = call;
  context_ = context;
  items_ = items;
  next_.store(0, std::memory_order_relaxed);
  busy_.store(static_cast<int32_t>(workers_.size()), std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  take_items(0);
  for (int32_t busy = busy_.load(std::memory_order_acquire); busy != 0;
       busy = busy_.load(std::memory_order_acquire)) {
    await_change(busy_, busy);
  }
}

void ThreadPool::worker(int thread) {
  uint32_t seen = 0;
  for (;;) {
    await_change(generation_, seen);
    ++seen;
    if (stopping_) return;
    take_items(thread);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_one();
  }
}

}  // namespace touchstone::backend::cpu
