// Spans in memory, by trace, within a limit of bytes: what a small tracing backend needs to be
// asked. What is full drops its oldest traces, whole, or refuses the new; both are counted, nothing
// is dropped silently. Spans are kept as they came, deliveries of the same span included.
// Thread-safe.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "telemetry/span.h"

namespace touchstone::harness {

enum class WhenFull {
  kDropOldest,  ///< the traces whose first span came first make room
  kRefuse,      ///< what would not fit is not taken
};

/// What the spans of one group of a batch came with.
struct SpanSource {
  telemetry::Resource resource;
  std::string resource_schema_url;
  telemetry::Scope scope;
  std::string scope_schema_url;

  const std::string& service() const;  ///< service.name; "" without one
};

struct StoredSpan {
  telemetry::Span span;
  /// Shared: all spans of a group have it, and the last of them that goes takes it along.
  std::shared_ptr<const SpanSource> source;

  /// The value of a key of the span, else of its resource; null: neither has it.
  const telemetry::Value* value(const std::string& key) const;
};

using StoredTrace = std::vector<StoredSpan>;  ///< in the order of arrival
/// As OTLP carries it: spans with the same source stand together.
telemetry::TraceBatch to_batch(const std::vector<StoredTrace>& traces);

/// What is not set does not matter. Times are closed intervals of span starts.
struct SpanQuery {
  std::optional<std::string> service;
  std::optional<std::string> name;
  std::optional<int64_t> start_unix_ns;
  std::optional<int64_t> end_unix_ns;
  std::optional<int64_t> duration_min_ns;
  std::optional<int64_t> duration_max_ns;
  std::vector<std::pair<std::string, std::string>> attributes;  ///< key and text, all of them
  size_t limit = 100;

  bool matches(const StoredSpan& span) const;
};

struct SpanStoreCounters {
  int64_t received = 0;  ///< spans that were offered
  int64_t kept = 0;      ///< that are there now
  int64_t traces = 0;    ///< that are there now
  int64_t dropped = 0;   ///< spans that made room
  int64_t refused = 0;   ///< spans that were not taken
  int64_t bytes = 0;     ///< about what is held
};

class SpanStore final {
 public:
  SpanStore(int64_t bytes_max, WhenFull when_full) : bytes_max_(bytes_max), full_(when_full) {}

  /// All of the batch or nothing. ERRORS: kUnavailable when it does not fit.
  Status add(telemetry::TraceBatch batch);
  /// Counts spans that somebody else refused before.
  void count_refused(int64_t spans);

  std::set<std::string> services() const;
  /// Names of spans with their kinds, of a service or (nullopt) of all.
  std::set<std::pair<std::string, telemetry::SpanKind>> operations(
      const std::optional<std::string>& service) const;
  /// nullopt: not there.
  std::optional<StoredTrace> trace(const TraceId& id) const;
  /// Whole traces with a span that matches, the latest to begin first.
  std::vector<StoredTrace> traces(const SpanQuery& query) const;
  /// The latest first.
  std::vector<StoredSpan> spans(const SpanQuery& query) const;
  SpanStoreCounters counters() const;

 private:
  struct Held {
    TraceId id;
    StoredTrace spans;
    int64_t bytes = 0;
  };
  void insert(const TraceId& id, StoredSpan span, int64_t bytes) REQUIRES(mutex_);
  void make_room() REQUIRES(mutex_);

  const int64_t bytes_max_;
  const WhenFull full_;
  mutable Mutex mutex_;
  std::list<Held> held_ GUARDED_BY(mutex_);  // by the arrival of the first span
  std::unordered_map<TraceId, std::list<Held>::iterator> by_id_ GUARDED_BY(mutex_);
  SpanStoreCounters counters_ GUARDED_BY(mutex_);
};

}  // namespace touchstone::harness
