// A few threads that run one loop at a time, for work of some tens of microseconds: they spin
// briefly for the next loop before they sleep. The caller takes part.
// Thread-compatible: one thread calls run().
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace touchstone::backend::cpu {

class ThreadPool final {
 public:
  /// `threads` counts the caller; 1 starts none. REQUIRES: threads >= 1.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(item, thread) for every item in [0, items), in no particular order, and returns
  /// when all are done. REQUIRES: items < 2^32. `thread` in [0, threads()) names working memory.
  /// The items must not depend on each other; `body` must not call run().
  template <typename Body>
  void run(int64_t items, const Body& body) {
    const auto call = [](const void* context, int64_t item, int thread) {
      (*static_cast<const Body*>(context))(item, thread);
    };
    run_erased(items, call, &body);
  }

 private:
  using Call = void (*)(const void*, int64_t, int);

  void run_erased(int64_t items, Call call, const void* context);
  void worker(int thread);
  bool take_item(int thread);

  // The current loop. Whoever took one of its items may read these: the caller changes them only
  // when all items are done. So nobody waits for a worker that is asleep or not scheduled.
  Call call_ = nullptr;
  const void* context_ = nullptr;
  int64_t items_ = 0;

  /// High half: number of the loop; low half: items that nobody took yet.
  std::atomic<uint64_t> state_{0};
  std::atomic<int64_t> left_{0};  ///< items that are not done
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> workers_;
};

}  // namespace touchstone::backend::cpu
