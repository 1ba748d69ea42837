// SHA-256 computed by a thread of its own, beside whoever reads the bytes. Thread-compatible: one
// thread uses it.
#pragma once

#include <string>
#include <string_view>
#include <thread>

#include "base/mutex.h"
#include "base/sha256.h"

namespace touchstone {

class BackgroundSha256 final {
 public:
  BackgroundSha256();
  ~BackgroundSha256();
  BackgroundSha256(const BackgroundSha256&) = delete;
  BackgroundSha256& operator=(const BackgroundSha256&) = delete;

  /// Copies the bytes; waits while much is queued.
  void update(std::string_view bytes);
  /// Of all bytes, in lower-case hex. Call once, at the end.
  std::string finish_hex();

 private:
  void run();
  void stop();

  Sha256 sha_;  // the thread's, while it runs
  Mutex mutex_;
  ConditionVariable changed_;
  std::string queued_ GUARDED_BY(mutex_);
  bool over_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace touchstone
