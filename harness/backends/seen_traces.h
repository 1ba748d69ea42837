// Which traces of a backend were handed on, for APIs that give one more than once. One thread.
#pragma once

#include <cstdint>
#include <unordered_set>

#include "base/ids.h"
#include "telemetry/span.h"

namespace touchstone::harness {

class SeenTraces final {
 public:
  /// Takes the spans of traces that were seen before out of `batch`, remembers the others; how many
  /// distinct traces were in it.
  int64_t keep_new(telemetry::TraceBatch& batch);
  /// True when it was not seen before.
  bool add(const TraceId& id) { return seen_.insert(id).second; }

 private:
  std::unordered_set<TraceId> seen_;
};

}  // namespace touchstone::harness
