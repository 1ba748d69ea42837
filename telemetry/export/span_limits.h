// OTEL_SPAN_*_LIMIT, OTEL_ATTRIBUTE_*_LIMIT: what a span may hold at most; the rest is dropped and
// counted in the span, as the SDK specification (v1.50, common/README.md, "Attribute Limits";
// trace/sdk.md, "Span Limits") has it. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>

#include "base/environment.h"
#include "base/result.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

struct SpanLimits {
  int64_t attributes = 128;
  int64_t events = 128;
  int64_t links = 128;
  int64_t attributes_of_event = 128;
  int64_t attributes_of_link = 128;
  std::optional<int64_t> value_characters;  ///< of a string, or of each in an array

  /// ERRORS: kInvalidArgument that names the variable.
  static Result<SpanLimits> from(const Environment& environment);
  void apply(Span& span) const;
};

}  // namespace touchstone::telemetry
