// Locks whose use clang checks (-Wthread-safety, preset `fuzz`): members say by which mutex they
// are guarded, functions which mutex their caller must hold. Thread-safe.
// Source: clang.llvm.org/docs/ThreadSafetyAnalysis.html.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#if defined(__clang__)
#define TOUCHSTONE_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define TOUCHSTONE_THREAD_ANNOTATION(x)
#endif
/// A member that is read and written only while `mutex` is held.
#define GUARDED_BY(mutex) TOUCHSTONE_THREAD_ANNOTATION(guarded_by(mutex))
/// A function, or a lambda, that is called only while `mutex` is held.
#define REQUIRES(mutex) TOUCHSTONE_THREAD_ANNOTATION(requires_capability(mutex))

namespace touchstone {

class TOUCHSTONE_THREAD_ANNOTATION(capability("mutex")) Mutex final {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() TOUCHSTONE_THREAD_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void unlock() TOUCHSTONE_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }

 private:
  friend class ConditionVariable;
  std::mutex mutex_;
};

/// Holds a mutex for as long as it lives.
class TOUCHSTONE_THREAD_ANNOTATION(scoped_lockable) MutexLock final {
 public:
  explicit MutexLock(Mutex& mutex) TOUCHSTONE_THREAD_ANNOTATION(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() TOUCHSTONE_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

/// Waits let go of the mutex and hold it again when they return. `ready` is a condition over what
/// the mutex guards: `[this]() REQUIRES(mutex_) { return done_; }`.
class ConditionVariable final {
 public:
  template <typename Ready>
  void wait(Mutex& mutex, const Ready& ready) REQUIRES(mutex) {
    std::unique_lock lock(mutex.mutex_, std::adopt_lock);
    changed_.wait(lock, ready);
    lock.release();
  }
  /// At most `timeout_ns`; what `ready` says at the end.
  template <typename Ready>
  bool wait_for(Mutex& mutex, int64_t timeout_ns, const Ready& ready) REQUIRES(mutex) {
    std::unique_lock lock(mutex.mutex_, std::adopt_lock);
    const bool result = changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), ready);
    lock.release();
    return result;
  }
  void notify_one() { changed_.notify_one(); }
  void notify_all() { changed_.notify_all(); }

 private:
  std::condition_variable changed_;
};

}  // namespace touchstone
