// The batch span processor of the OpenTelemetry SDK specification (v1.50, trace/sdk.md, "Batching
// processor") with retries: a bounded queue and one thread that sends batches. Thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "telemetry/export/backoff.h"
#include "telemetry/export/exporter.h"

namespace touchstone::telemetry {

struct BatchOptions {
  size_t queue_spans_max = 2048;        ///< OTEL_BSP_MAX_QUEUE_SIZE
  size_t batch_spans_max = 512;         ///< OTEL_BSP_MAX_EXPORT_BATCH_SIZE
  int64_t delay_ns = 5 * kNsPerSecond;  ///< OTEL_BSP_SCHEDULE_DELAY
  /// OTEL_BSP_EXPORT_TIMEOUT: one batch, retries included.
  int64_t export_timeout_ns = 30 * kNsPerSecond;
  int64_t attempt_timeout_ns = 10 * kNsPerSecond;  ///< OTEL_EXPORTER_OTLP_TIMEOUT
  int64_t first_backoff_ns = 500 * kNsPerMs;
  int64_t backoff_max_ns = 5 * kNsPerSecond;
};

/// The group of `batch` for spans of this origin, made when it is the first. Origins that add the
/// same to the resource share one.
ScopeSpans& scope_group(const Resource& resource, const SpanOrigin& origin, TraceBatch& batch);

class BatchExporter final : public SpanExporter {
 public:
  /// `clock` outlives this. REQUIRES: the sizes are positive, a batch fits the queue.
  BatchExporter(Resource resource, const BatchOptions& options,
                std::unique_ptr<Transport> transport, const Clock& clock);
  ~BatchExporter() override;
  BatchExporter(const BatchExporter&) = delete;
  BatchExporter& operator=(const BatchExporter&) = delete;

  void submit(const SpanOrigin& origin, Span span) override;
  ExporterCounters counters() const override;
  bool shutdown(int64_t timeout_ns) override;

 private:
  using Item = std::pair<const SpanOrigin*, Span>;

  void run();
  TraceBatch make_batch(std::vector<Item> items) const;
  /// Sends until delivered, refused for good, or out of time.
  void export_batch(const std::string& bytes, int64_t spans);

  const Resource resource_;
  const BatchOptions options_;
  const std::unique_ptr<Transport> transport_;
  const Clock& clock_;
  Backoff backoff_;  // the thread's own

  mutable Mutex mutex_;
  ConditionVariable work_;
  ConditionVariable stopped_changed_;
  std::deque<Item> queue_ GUARDED_BY(mutex_);
  ExporterCounters counters_ GUARDED_BY(mutex_);
  std::optional<int64_t> stop_by_ns_ GUARDED_BY(mutex_);  // set by shutdown
  bool stopped_ GUARDED_BY(mutex_) = false;               // the thread has returned
  std::thread thread_;
};

}  // namespace touchstone::telemetry
