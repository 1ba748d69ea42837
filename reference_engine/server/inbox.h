// What the engine's thread says and a connection has not taken in yet. Thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace touchstone::server {

template <typename Item>
class Inbox final {
 public:
  struct Content {
    std::vector<Item> items;
    std::optional<std::string> failure;
  };

  /// `change(items)` under the lock; whoever waits is woken.
  template <typename Change>
  void update(const Change& change) {
    const MutexLock lock(mutex_);
    change(content_.items);
    if (wake_) wake_();
  }
  void fail(const std::string& message) {
    const MutexLock lock(mutex_);
    content_.failure = message;
    if (wake_) wake_();
  }
  void set_wake(std::function<void()> wake) {
    const MutexLock lock(mutex_);
    wake_ = std::move(wake);
  }
  Content take() {
    const MutexLock lock(mutex_);
    return std::exchange(content_, {});
  }
  bool empty() const {
    const MutexLock lock(mutex_);
    return content_.items.empty() && !content_.failure;
  }

 private:
  mutable Mutex mutex_;
  Content content_ GUARDED_BY(mutex_);
  std::function<void()> wake_ GUARDED_BY(mutex_);
};

}  // namespace touchstone::server
