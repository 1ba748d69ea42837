// A bounded multi-producer queue between threads. Thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace touchstone {

template <typename T>
class BoundedQueue final {
 public:
  /// REQUIRES: capacity > 0.
  explicit BoundedQueue(size_t capacity) : capacity_(capacity) {}

  /// False when full or closed; `value` is then unchanged. Never blocks.
  bool try_push(T& value) {
    {
      const MutexLock lock(mutex_);
      if (closed_ || items_.size() >= capacity_) return false;
      items_.push_back(std::move(value));
    }
    changed_.notify_one();
    return true;
  }

  /// Everything queued, without waiting.
  std::vector<T> take_all() {
    const MutexLock lock(mutex_);
    return take_all_locked();
  }

  /// Waits until something is queued or the queue is closed, then everything queued.
  std::vector<T> wait_and_take_all() {
    const MutexLock lock(mutex_);
    changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return closed_ || !items_.empty(); });
    return take_all_locked();
  }

  /// After this nothing can be pushed; waiters return.
  void close() {
    {
      const MutexLock lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
  }

  bool closed() const {
    const MutexLock lock(mutex_);
    return closed_;
  }
  size_t size() const {
    const MutexLock lock(mutex_);
    return items_.size();
  }

 private:
  std::vector<T> take_all_locked() REQUIRES(mutex_) {
    std::vector<T> taken(std::make_move_iterator(items_.begin()),
                         std::make_move_iterator(items_.end()));
    items_.clear();
    return taken;
  }

  const size_t capacity_;
  mutable Mutex mutex_;
  ConditionVariable changed_;
  std::deque<T> items_ GUARDED_BY(mutex_);
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace touchstone
