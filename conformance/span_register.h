// A compact row for every distinct span of a run, handed out trace by trace at the end: what checks
// that look across spans need. Bounded memory: rows that do not fit go to a file.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/record_sorter.h"
#include "conformance/span_ids.h"
#include "telemetry/span.h"

namespace touchstone::conformance {

struct SpanRow {
  TraceId trace;
  SpanId id;
  SpanId parent;
  uint32_t name = 0;        ///< SpanRegister::name_of()
  uint32_t flags = 0;       ///< of the span
  uint16_t request_of = 0;  ///< bit p: a request's span to profile p
  telemetry::SpanKind kind = telemetry::SpanKind::kUnspecified;
};

/// The rows of one trace, by span id. Borrows them.
class TraceRows final {
 public:
  /// REQUIRES: `rows` are of one trace, ordered by id, and not empty.
  explicit TraceRows(std::span<const SpanRow> rows) : rows_(rows) {}
  const TraceId& id() const { return rows_.front().trace; }
  auto begin() const { return rows_.begin(); }
  auto end() const { return rows_.end(); }
  size_t size() const { return rows_.size(); }
  const SpanRow& operator[](size_t i) const { return rows_[i]; }
  /// The position of the span with this id; size(): none.
  size_t position(const SpanId& id) const;
  bool contains(const SpanId& id) const { return position(id) < size(); }

 private:
  std::span<const SpanRow> rows_;
};

class SpanRegister final {
 public:
  using Seen = SpanIds::Seen;

  /// `in_memory`: so many spans are kept before some go to a file.
  explicit SpanRegister(size_t in_memory);

  void prefetch(const SpanId& id) const { ids_.prefetch(id); }
  /// What is new gets a row. A span without an id is kNew and gets none. ERRORS: kIo of the file.
  Result<SpanIds::Sighting> add(const telemetry::Span& span, uint16_t request_of);
  /// Visits the traces in the order of their ids. Call once, at the end. ERRORS: kIo of the file.
  Status for_each_trace(const std::function<void(const TraceRows&)>& visit);
  const std::string& name_of(const SpanRow& row) const { return names_[row.name]; }

 private:
  uint32_t intern(const std::string& name);

  SpanIds ids_;
  RecordSorter rows_;  // as bytes, by trace and id
  std::unordered_map<std::string, uint32_t> interned_;
  std::vector<std::string> names_;
  uint32_t last_name_ = 0;  // mostly the next one's too
};

/// True when the flags say that the parent is in another process.
bool says_remote(uint32_t flags);

}  // namespace touchstone::conformance
