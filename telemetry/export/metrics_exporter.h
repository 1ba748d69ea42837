// Pushes the metrics page by OTLP, again and again and once more at the end. Source: OpenTelemetry
// specification 1.50.0, metrics/sdk.md, "Periodic exporting MetricReader". Every push has the whole
// page, cumulative, so that one that fails costs nothing but its point in time. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/environment.h"
#include "base/mutex.h"
#include "base/result.h"
#include "telemetry/export/backoff.h"
#include "telemetry/export/exporter.h"
#include "telemetry/export/otlp_options.h"
#include "telemetry/otlp/metrics.h"

namespace touchstone::telemetry {

struct MetricsExportOptions {
  int64_t interval_ns = 60 * kNsPerSecond;        ///< OTEL_METRIC_EXPORT_INTERVAL
  int64_t export_timeout_ns = 30 * kNsPerSecond;  ///< OTEL_METRIC_EXPORT_TIMEOUT, with retries
  int64_t attempt_timeout_ns = 10 * kNsPerSecond;
  int64_t first_backoff_ns = 500 * kNsPerMs;
  int64_t backoff_max_ns = 5 * kNsPerSecond;
};

/// The variables; times in them are milliseconds. ERRORS: kInvalidArgument that names the variable.
Result<MetricsExportOptions> metrics_export_options(const OtlpOptions& otlp,
                                                    const Environment& environment);

struct MetricsExportCounters {
  int64_t exports = 0;  ///< acknowledged
  int64_t failed = 0;   ///< given up
  int64_t failed_attempts = 0;
  int64_t rejected_points = 0;
  std::string last_problem;
};

class MetricsExporter final {
 public:
  struct Snapshot {
    std::string page;  ///< in the Prometheus text format
    Exemplars exemplars;
  };
  using Read = std::function<Snapshot()>;

  /// `read` is called on the exporter's thread. `clock` and what `read` looks at outlive this.
  MetricsExporter(MetricsOrigin origin, const MetricsExportOptions& options,
                  std::unique_ptr<Transport> transport, Read read, const Clock& clock);
  ~MetricsExporter();
  MetricsExporter(const MetricsExporter&) = delete;
  MetricsExporter& operator=(const MetricsExporter&) = delete;

  MetricsExportCounters counters() const;
  /// Pushes once more, for at most `timeout_ns`, and stops. True when that push arrived. Further
  /// calls do nothing and give the same answer.
  bool shutdown(int64_t timeout_ns);

 private:
  void run();
  /// Until delivered, refused for good, or out of time.
  bool push();

  const MetricsOrigin origin_;
  const MetricsExportOptions options_;
  const std::unique_ptr<Transport> transport_;
  const Read read_;
  const Clock& clock_;
  Backoff backoff_;  // the thread's own

  mutable Mutex mutex_;
  ConditionVariable changed_;
  MetricsExportCounters counters_ GUARDED_BY(mutex_);
  std::optional<int64_t> stop_by_ns_ GUARDED_BY(mutex_);  // set by shutdown
  bool stopped_ GUARDED_BY(mutex_) = false;               // the thread has returned
  bool last_arrived_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace touchstone::telemetry
