// What a gate does to a batch of spans. Pure; thread-safe.
#pragma once

#include <cstdint>

#include "telemetry/span.h"

namespace touchstone::harness {

/// Adds `by_ns` to the times of all spans and events that have one.
void shift_times(telemetry::TraceBatch& batch, int64_t by_ns);
/// Takes so many of a hundred spans out, evenly spread, at least one where the share is not 0; what
/// was taken out is the result.
telemetry::TraceBatch take_out(telemetry::TraceBatch& batch, int64_t per_cent);

}  // namespace touchstone::harness
