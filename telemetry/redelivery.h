// The mark of spans that were sent before: their receiver may have them already. It stands on the
// scope, so that the span itself is the same to the last byte. Ours alone: OTLP has none. Pure;
// thread-safe.
#pragma once

#include <string_view>

#include "telemetry/span.h"

namespace touchstone::telemetry {

/// A scope attribute, true.
inline constexpr std::string_view kRedeliveryKey = "touchstone.redelivery";

bool says_redelivery(const Scope& scope);
/// Every scope, once.
void mark_redelivery(TraceBatch& batch);

}  // namespace touchstone::telemetry
