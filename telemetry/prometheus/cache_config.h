// The labels of vllm:cache_config_info. Pure. Source: recorded page of vLLM 0.32.0.
#pragma once

#include "telemetry/prometheus/text.h"
#include "telemetry/prometheus/vllm_metrics.h"

namespace touchstone::telemetry {

/// Every field of vLLM's CacheConfig, spelt as Python's str() does.
Labels cache_config_labels(const VllmMetricsConfig& config);

}  // namespace touchstone::telemetry
