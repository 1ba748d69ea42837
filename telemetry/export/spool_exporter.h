// A SpanExporter whose queue is a SpanSpool: submit_all() returns when the kernel has the spans, a
// thread sends them in batches and tries for as long as the receiver may come back, and what is
// left at the end is sent by the next process. What a receiver refuses for good is given up and
// counted. What may have arrived already, because an attempt failed or a former process left it,
// is marked (telemetry/redelivery.h). Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "telemetry/export/backoff.h"
#include "telemetry/export/batch_exporter.h"
#include "telemetry/export/exporter.h"
#include "telemetry/export/span_spool.h"

namespace touchstone::telemetry {

class SpoolExporter final : public SpanExporter {
 public:
  /// `clock` outlives this. Of `options` the queue's size has no effect: the spool is the queue.
  SpoolExporter(Resource resource, const BatchOptions& options, std::unique_ptr<SpanSpool> spool,
                std::unique_ptr<Transport> transport, const Clock& clock);
  ~SpoolExporter() override;

  void submit(const SpanOrigin& origin, Span span) override;
  void submit_all(const SpanOrigin& origin, std::vector<Span>& spans) override;
  /// `submitted` and `pending` begin with what a former process left.
  ExporterCounters counters() const override;
  /// True also when spans wait in the spool for the next process: nothing is lost.
  bool shutdown(int64_t timeout_ns) override;

 private:
  void run();
  /// Reads the next batch; nullopt: nothing waits.
  std::optional<SpanSpool::Entry> next_batch();
  /// Until delivered or refused for good; false when shutdown's time is over.
  bool deliver(const SpanSpool::Entry& batch);
  void note_problem(const std::string& problem);
  bool is_over() const REQUIRES(mutex_);

  const Resource resource_;
  const BatchOptions options_;
  const std::unique_ptr<SpanSpool> spool_;
  const std::unique_ptr<Transport> transport_;
  const Clock& clock_;
  Backoff backoff_;            // this and the next are the thread's own
  int64_t of_former_process_;  // spans of the spool that are not read yet

  mutable Mutex mutex_;
  ConditionVariable changed_;
  ExporterCounters counters_ GUARDED_BY(mutex_);
  std::optional<int64_t> stop_by_ns_ GUARDED_BY(mutex_);
  bool stopped_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace touchstone::telemetry
