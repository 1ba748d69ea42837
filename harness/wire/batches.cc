#include "harness/wire/batches.h"

#include <utility>

namespace touchstone::harness {

using telemetry::Span;
using telemetry::TraceBatch;

void shift_times(TraceBatch& batch, int64_t by_ns) {
  const auto shift = [by_ns](int64_t& unix_ns) {
    if (unix_ns != 0) unix_ns += by_ns;
  };
  for (auto& group : batch) {
    for (auto& scope : group.scope_spans) {
      for (Span& span : scope.spans) {
        shift(span.start_unix_ns);
        shift(span.end_unix_ns);
        for (auto& event : span.events) shift(event.time_unix_ns);
      }
    }
  }
}

TraceBatch take_out(TraceBatch& batch, int64_t per_cent) {
  TraceBatch out;
  if (per_cent <= 0) return out;
  int64_t seen = 0;
  const auto is_due = [&] {
    // The first of each run of spans whose share reaches the next whole one.
    const int64_t before = (seen * per_cent + 99) / 100;
    ++seen;
    return (seen * per_cent + 99) / 100 > before;
  };
  for (auto& group : batch) {
    auto& other = out.emplace_back();
    other.resource = group.resource;
    for (auto& scope : group.scope_spans) {
      auto& taken = other.scope_spans.emplace_back();
      taken.scope = scope.scope;
      std::vector<Span> kept;
      for (Span& span : scope.spans) (is_due() ? taken.spans : kept).push_back(std::move(span));
      scope.spans = std::move(kept);
    }
  }
  return out;
}

}  // namespace touchstone::harness
