#include "telemetry/otlp/read_ahead.h"

#include <cstdint>
#include <thread>
#include <utility>

#include "base/mutex.h"

namespace touchstone::telemetry {
namespace {

constexpr int64_t kSpansQueued = 100;

/// Batches on their way from one thread to the other, and back to be filled again.
class BatchQueue final {
 public:
  /// Waits for room; swaps `batch` for an old one. False: nobody wants more.
  bool push(TraceBatch& batch) {
    const int64_t spans = span_count(batch);
    {
      const MutexLock lock(mutex_);
      changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return over_ || queued_ < kSpansQueued; });
      if (over_) return false;
      TraceBatch old;
      if (!used_.empty()) {
        old = std::move(used_.back());
        used_.pop_back();
      }
      batches_.push_back(std::exchange(batch, std::move(old)));
      queued_ += spans;
    }
    changed_.notify_all();
    return true;
  }

  /// Takes what is queued, and waits until something is, for batches that are no longer needed.
  /// Nothing: there is no more.
  void exchange(std::vector<TraceBatch>& batches) {
    {
      const MutexLock lock(mutex_);
      for (TraceBatch& batch : batches) {
        // One that was large would stay so.
        if (span_count(batch) <= kSpansQueued) used_.push_back(std::move(batch));
      }
      batches.clear();
      changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return over_ || !batches_.empty(); });
      batches.swap(batches_);
      queued_ = 0;
    }
    changed_.notify_all();
  }

  /// No more will be pushed, or taken.
  void close() {
    {
      const MutexLock lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
  }

 private:
  Mutex mutex_;
  ConditionVariable changed_;
  std::vector<TraceBatch> batches_ GUARDED_BY(mutex_);
  std::vector<TraceBatch> used_ GUARDED_BY(mutex_);
  int64_t queued_ GUARDED_BY(mutex_) = 0;  // spans in batches_
  bool over_ GUARDED_BY(mutex_) = false;
};

}  // namespace

Result<std::vector<OtlpFileSummary>> read_otlp_files_ahead(
    const std::vector<std::string>& paths,
    const std::function<Status(const TraceBatch& batch)>& visit, const OtlpFileOptions& options) {
  BatchQueue queue;
  std::vector<OtlpFileSummary> summaries;
  Status read;  // these two are the thread's until it has ended
  std::thread reader([&] {
    const auto push = [&](TraceBatch& batch, int64_t) -> Status {
      if (queue.push(batch)) return {};
      return Error{ErrorCode::kCancelled, "the visitor has stopped", ""};
    };
    for (const std::string& path : paths) {
      Result<OtlpFileSummary> summary = read_otlp_file(path, push, options);
      if (!summary) {
        read = std::move(summary).error();
        break;
      }
      summaries.push_back(*std::move(summary));
    }
    queue.close();
  });
  Status visited;
  std::vector<TraceBatch> batches;
  do {
    queue.exchange(batches);
    for (const TraceBatch& batch : batches) {
      if (visited) visited = visit(batch);
    }
    if (!visited) queue.close();
  } while (visited && !batches.empty());
  reader.join();
  RETURN_IF_ERROR(std::move(visited));
  RETURN_IF_ERROR(std::move(read));
  return summaries;
}

}  // namespace touchstone::telemetry
