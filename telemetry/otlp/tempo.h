// What Grafana Tempo answers when asked for a trace as protobuf: OTLP spans in an envelope.
// Source: Tempo v3.0, pkg/tempopb/tempo.proto: TraceByIDResponse {1: Trace, 3: status, 4: message}.
// Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

struct TempoTrace {
  TraceBatch batch;
  bool is_partial = false;  ///< the trace was too large, or parts could not be read
  std::string message;
};
/// ERRORS: kMalformed.
Result<TempoTrace> decode_tempo_trace(std::string_view bytes);
/// For who stands in for Tempo.
std::string encode_tempo_trace(const TempoTrace& trace);

}  // namespace touchstone::telemetry
