// Which copies of a span its sender told of: all but one must carry the mark of a re-delivery
// (telemetry/redelivery.h), in whatever order they come. Costs nothing until the first mark; then
// memory is bounded as that of SpanIds. Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/result.h"
#include "conformance/span_ids.h"
#include "telemetry/span.h"

namespace touchstone::conformance {

class Redeliveries final {
 public:
  explicit Redeliveries(size_t in_memory) : in_memory_(in_memory) {}

  /// Of each span that passes: whether this copy was told of. True of what came for the first time.
  /// ERRORS: kIo of the file.
  Result<bool> told(const telemetry::Span& span, const telemetry::Scope& scope, SpanIds::Seen seen);

 private:
  const size_t in_memory_;
  std::optional<SpanIds> marked_first_;  // spans whose first copy was marked
  std::optional<SpanIds> unmarked_;      // spans of which a later copy was not
};

}  // namespace touchstone::conformance
