#include "telemetry/redelivery.h"

#include <string>

namespace touchstone::telemetry {

bool says_redelivery(const Scope& scope) {
  const Value* mark = find(scope.attributes, kRedeliveryKey);
  const bool* says = mark == nullptr ? nullptr : std::get_if<bool>(&mark->data);
  return says != nullptr && *says;
}

void mark_redelivery(TraceBatch& batch) {
  for (ResourceSpans& group : batch) {
    for (ScopeSpans& scoped : group.scope_spans) {
      if (says_redelivery(scoped.scope)) continue;
      scoped.scope.attributes.push_back({std::string(kRedeliveryKey), Value(true)});
    }
  }
}

}  // namespace touchstone::telemetry
