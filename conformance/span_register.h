// A compact row for every distinct span of a run, found by its ids: what checks that look across
// spans need, in about 70 bytes a span. Thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "telemetry/span.h"

namespace touchstone::conformance {

struct SpanRow {
  TraceId trace;
  SpanId id;
  SpanId parent;
  uint64_t content = 0;     ///< content_hash()
  uint32_t name = 0;        ///< SpanRegister::name_of()
  uint32_t flags = 0;       ///< of the span
  uint16_t request_of = 0;  ///< bit p: a request's span to profile p
};

class SpanRegister final {
 public:
  /// What is there already with the span's id.
  enum class Seen {
    kNew,           ///< nothing
    kNewButShared,  ///< a span of another trace
    kDelivered,     ///< the same span
    kReused         ///< another span of the same trace
  };
  /// The first two add a row. A span without an id is kNew and gets none.
  Seen add(const telemetry::Span& span, uint16_t request_of);

  const std::vector<SpanRow>& rows() const { return rows_; }
  const SpanRow* find(const TraceId& trace, const SpanId& id) const;
  /// The first span with this id in whatever trace.
  const SpanRow* find(const SpanId& id) const;
  const std::string& name_of(const SpanRow& row) const { return names_[row.name]; }

 private:
  struct Slot {
    uint32_t hash = 0;  // its upper half: most other ids are told apart without their row
    uint32_t row = 0;   // + 1; 0: free
  };
  /// Calls `visit(row)` for the rows with this id until it returns true; then that row.
  template <typename Visit>
  const SpanRow* find_if(const SpanId& id, const Visit& visit) const;
  void insert(size_t row);
  void grow();
  uint32_t intern(const std::string& name);

  std::vector<SpanRow> rows_;
  std::vector<Slot> slots_;  // open addressing by the hash of the span id
  std::unordered_map<std::string, uint32_t> interned_;
  std::vector<std::string> names_;
  uint32_t last_name_ = 0;  // mostly the next one's too
};

/// True when the flags say that the parent is in another process.
bool says_remote(uint32_t flags);

}  // namespace touchstone::conformance
