// Where finished spans go. Two halves: a SpanExporter takes spans from the threads that make them
// and never makes them wait; a Transport carries the bytes of one batch, of any signal, to one
// place. A new transport is one file and one row; queueing, batching, encoding (once, before all
// retries) and accounting stay in BatchExporter.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "telemetry/dialects/dialect.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

/// All but `pending` only grow. INV: submitted = exported + rejected + failed + dropped + pending.
struct ExporterCounters {
  int64_t submitted = 0;
  int64_t exported = 0;  ///< acknowledged by the receiver
  int64_t rejected = 0;  ///< the receiver took the batch but not these (partial success)
  int64_t failed = 0;    ///< not delivered: a permanent error, or retries ran out
  int64_t dropped = 0;   ///< never tried: the queue was full, or shutdown ran out of time
  int64_t pending = 0;   ///< queued or being sent
  int64_t batches = 0;   ///< delivered
  int64_t retries = 0;
  int64_t spool_bytes = 0;      ///< on disk, where there is a spool
  int64_t failed_attempts = 0;  ///< sends that did not deliver, told at once: retries may follow
  std::string last_problem;     ///< of the latest failed attempt; empty when there was none
};

/// Thread-safe.
class SpanExporter {
 public:
  virtual ~SpanExporter() = default;
  /// Never blocks: a span that does not fit is dropped and counted.
  /// REQUIRES: `origin` outlives the exporter.
  virtual void submit(const SpanOrigin& origin, Span span) = 0;
  /// The spans of one record, moved out of the list.
  virtual void submit_all(const SpanOrigin& origin, std::vector<Span>& spans) {
    for (Span& span : spans) submit(origin, std::move(span));
  }
  virtual ExporterCounters counters() const = 0;
  /// Sends what is queued, for at most `timeout_ns`, then stops; later spans are dropped. True when
  /// nothing was left. Further calls do nothing and give the same answer.
  virtual bool shutdown(int64_t timeout_ns) = 0;
};

/// What a request carries.
enum class Signal { kTraces, kMetrics, kLogs };

struct SendResult {
  enum class Outcome { kDelivered, kRetry, kFailed };
  Outcome outcome = Outcome::kDelivered;
  int64_t rejected = 0;                   ///< spans, points or records of a delivered batch
  std::optional<int64_t> retry_after_ns;  ///< what the receiver asks for
  std::string problem;                    ///< empty when there is nothing to say
};

/// send() is called by one thread at a time; cancel() by any.
class Transport {
 public:
  virtual ~Transport() = default;
  /// `bytes`: an Export*ServiceRequest of the signal as protobuf.
  virtual SendResult send(Signal signal, std::string_view bytes, int64_t timeout_ns) = 0;
  /// Makes a send() in progress, and every later one, return soon.
  virtual void cancel() = 0;
};

}  // namespace touchstone::telemetry
