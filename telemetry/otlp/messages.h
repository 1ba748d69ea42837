// Between the generated OTLP messages and telemetry::TraceBatch. Only .cc files that already need
// protobuf include this.
#pragma once

#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>

#include "base/result.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

/// ERRORS: as decode_otlp_protobuf().
Result<TraceBatch> to_trace_batch(
    const opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest& request);

}  // namespace touchstone::telemetry
