// Finished spans as lines of JSON, one object a span: trace_id, span_id, parent_span_id, name,
// start_time_ns, end_time_ns, duration_ms (3 decimals), attributes, status, service. What scripts
// that read a file of spans expect; OTLP has no such form. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "base/files.h"
#include "base/mutex.h"
#include "telemetry/export/exporter.h"

namespace touchstone::telemetry {

/// `service`: the resource's service.name. Without a line end.
std::string span_log_line(const Span& span, const std::string& service);

/// Writes each span and hands it on.
class SpanLog final : public SpanExporter {
 public:
  /// `next`: null: none. ERRORS: those of LineWriter::open().
  static Result<std::unique_ptr<SpanExporter>> open(const std::string& path,
                                                    const Resource& resource,
                                                    std::unique_ptr<SpanExporter> next);
  SpanLog(std::unique_ptr<LineWriter> lines, std::string service,
          std::unique_ptr<SpanExporter> next);

  void submit(const SpanOrigin& origin, Span span) override;
  void submit_all(const SpanOrigin& origin, std::vector<Span>& spans) override;
  /// Of the next exporter. A file that cannot be written is its last problem.
  ExporterCounters counters() const override;
  bool shutdown(int64_t timeout_ns) override;

 private:
  void write(const Span& span);

  const std::string service_;
  const std::unique_ptr<SpanExporter> next_;
  mutable Mutex mutex_;
  std::unique_ptr<LineWriter> lines_ GUARDED_BY(mutex_);  // null after its first failure
  int64_t lost_ GUARDED_BY(mutex_) = 0;
  std::string problem_ GUARDED_BY(mutex_);
};

}  // namespace touchstone::telemetry
