// OTEL_* and VLLM_* variables that this exporter knows of and does not honour: refused where they
// would change what is sent, told of where they would not. Nothing is ignored in silence.
// Source: OpenTelemetry specification v1.50, configuration/sdk-environment-variables.md. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/environment.h"
#include "base/result.h"

namespace touchstone::telemetry {

/// Sentences for the log, one for each variable that is set and has no effect. `exports_spans`,
/// `exports_metrics`: a flag asks for it.
/// ERRORS: kInvalidArgument for one that asks for what is not implemented.
Result<std::vector<std::string>> check_otel_environment(const Environment& environment,
                                                        bool exports_spans, bool exports_metrics);

}  // namespace touchstone::telemetry
