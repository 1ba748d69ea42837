// The OTLP resource of a vLLM API server. Sources: vllm/tracing/otel.py (0.32.0); OpenTelemetry
// resource SDK v1.50 and opentelemetry-python's order of attributes. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/environment.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

struct ResourceOptions {
  std::string instance_id;  ///< service.instance.id: a UUID, new for each process
  int64_t process_id = 0;
  /// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES.
  Environment environment;
};

/// A version 4 UUID (RFC 9562) for service.instance.id; equal seeds give equal ones.
std::string instance_id(uint64_t seed);

struct ResourceResult {
  Resource resource;
  /// What was skipped in OTEL_RESOURCE_ATTRIBUTES, one sentence each, for the log.
  std::vector<std::string> warnings;
};

/// telemetry.sdk.* name Touchstone itself: the spans look like vLLM's, the SDK is not Python's.
ResourceResult make_vllm_resource(const ResourceOptions& options);

}  // namespace touchstone::telemetry
