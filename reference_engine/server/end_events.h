// What ends a serving process, as something to wait for. Thread-safe.
#pragma once

#include <cstdint>

#include "base/mutex.h"

namespace touchstone::server {

/// Signals, the engine's own end, and that of the last connection.
class EndEvents final {
 public:
  void signal() {
    const MutexLock lock(mutex_);
    signals_ += 1;
    changed_.notify_all();
  }
  void engine_ended() {
    const MutexLock lock(mutex_);
    engine_ended_ = true;
    changed_.notify_all();
  }
  /// False when the engine ended before any signal.
  bool wait_for_signal() {
    const MutexLock lock(mutex_);
    changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return signals_ > 0 || engine_ended_; });
    return !engine_ended_;
  }
  void connections_ended() {
    const MutexLock lock(mutex_);
    connections_ended_ = true;
    changed_.notify_all();
  }
  /// False when the time is over, or a second signal came, before the engine ended.
  bool wait_for_engine(int64_t timeout_ns) {
    const MutexLock lock(mutex_);
    changed_.wait_for(mutex_, timeout_ns,
                      [this]() REQUIRES(mutex_) { return engine_ended_ || signals_ > 1; });
    return engine_ended_;
  }
  /// Until no connection is left, the time is over, or a second signal came.
  void wait_for_connections(int64_t timeout_ns) {
    const MutexLock lock(mutex_);
    changed_.wait_for(mutex_, timeout_ns,
                      [this]() REQUIRES(mutex_) { return connections_ended_ || signals_ > 1; });
  }

 private:
  Mutex mutex_;
  ConditionVariable changed_;
  int signals_ GUARDED_BY(mutex_) = 0;
  bool engine_ended_ GUARDED_BY(mutex_) = false;
  bool connections_ended_ GUARDED_BY(mutex_) = false;
};

}  // namespace touchstone::server
