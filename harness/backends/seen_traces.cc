#include "harness/backends/seen_traces.h"

#include <vector>

namespace touchstone::harness {

int64_t SeenTraces::keep_new(telemetry::TraceBatch& batch) {
  std::unordered_set<TraceId> here;
  for (telemetry::ResourceSpans& group : batch) {
    for (telemetry::ScopeSpans& scoped : group.scope_spans) {
      for (const telemetry::Span& span : scoped.spans) here.insert(span.trace_id);
      std::erase_if(scoped.spans,
                    [&](const telemetry::Span& span) { return seen_.contains(span.trace_id); });
    }
  }
  seen_.insert(here.begin(), here.end());
  return static_cast<int64_t>(here.size());
}

}  // namespace touchstone::harness
