// A bounded multi-producer queue between threads. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace touchstone {

template <typename T>
class BoundedQueue final {
 public:
  /// REQUIRES: capacity > 0.
  explicit BoundedQueue(size_t capacity) : capacity_(capacity) {}

  /// False when full or closed; `value` is then unchanged. Never blocks.
  bool try_push(T& value) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_ || items_.size() >= capacity_) return false;
      items_.push_back(std::move(value));
    }
    changed_.notify_one();
    return true;
  }

  /// Everything queued, without waiting.
  std::vector<T> take_all() {
    const std::lock_guard lock(mutex_);
    return take_all_locked();
  }

  /// Waits until something is queued or the queue is closed, then everything queued.
  std::vector<T> wait_and_take_all() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !items_.empty(); });
    return take_all_locked();
  }

  /// As wait_and_take_all(), but at most until `timeout` has passed.
  template <typename Duration>
  std::vector<T> wait_and_take_all_for(Duration timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return closed_ || !items_.empty(); });
    return take_all_locked();
  }

  /// After this nothing can be pushed; waiters return.
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
  }

  bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }
  size_t size() const {
    const std::lock_guard lock(mutex_);
    return items_.size();
  }

 private:
  std::vector<T> take_all_locked() {
    std::vector<T> taken(std::make_move_iterator(items_.begin()),
                         std::make_move_iterator(items_.end()));
    items_.clear();
    return taken;
  }

  const size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> items_;
  bool closed_ = false;
};

}  // namespace touchstone
