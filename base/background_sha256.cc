#include "base/background_sha256.h"

#include "base/ids.h"

namespace touchstone {
namespace {

constexpr size_t kQueuedBytesMax = size_t{1} << 20;

}  // namespace

BackgroundSha256::BackgroundSha256() : thread_([this] { run(); }) {}

BackgroundSha256::~BackgroundSha256() { stop(); }

void BackgroundSha256::run() {
  std::string bytes;
  for (;;) {
    bytes.clear();
    {
      const MutexLock lock(mutex_);
      changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return over_ || !queued_.empty(); });
      if (queued_.empty()) return;
      bytes.swap(queued_);
    }
    changed_.notify_all();
    sha_.update(bytes);
  }
}

void BackgroundSha256::update(std::string_view bytes) {
  {
    const MutexLock lock(mutex_);
    changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return queued_.size() < kQueuedBytesMax; });
    queued_ += bytes;
  }
  changed_.notify_all();
}

void BackgroundSha256::stop() {
  if (!thread_.joinable()) return;
  {
    const MutexLock lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::string BackgroundSha256::finish_hex() {
  stop();
  const Sha256Digest digest = sha_.finish();
  return to_hex(digest.data(), digest.size());
}

}  // namespace touchstone
