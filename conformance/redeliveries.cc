#include "conformance/redeliveries.h"

#include "telemetry/redelivery.h"

namespace touchstone::conformance {

using Seen = SpanIds::Seen;

Result<bool> Redeliveries::told(const telemetry::Span& span, const telemetry::Scope& scope,
                                Seen seen) {
  const bool marked = !scope.attributes.empty() && telemetry::says_redelivery(scope);
  if (seen != Seen::kDelivered) {
    if (!marked || !span.span_id.is_valid()) return true;
    if (!marked_first_) {
      marked_first_.emplace(in_memory_);
      unmarked_.emplace(in_memory_);
    }
    const auto added = marked_first_->add(span.trace_id, span.span_id, 0);
    if (!added) return added.error();
    return true;
  }
  if (marked) return true;
  if (!marked_first_) return false;
  // The first copy without the mark, after one with it, is the original that came late.
  const auto first = marked_first_->add(span.trace_id, span.span_id, 0);
  if (!first) return first.error();
  const auto later = unmarked_->add(span.trace_id, span.span_id, 0);
  if (!later) return later.error();
  return first->seen == Seen::kDelivered &&
         (later->seen == Seen::kNew || later->seen == Seen::kNewButShared);
}

}  // namespace touchstone::conformance
