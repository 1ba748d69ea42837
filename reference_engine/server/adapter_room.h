// How many adapters a backend must have room for. Pure.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "reference_engine/backend/backend.h"
#include "reference_engine/scheduler/config.h"
#include "reference_engine/server/served_adapters.h"

namespace touchstone::server {

/// As many as --max-cpu-loras says, and as the plans in flight can ask for; 0 without adapters.
/// ERRORS: kInvalidArgument, kUnsupported naming the flag.
Result<int32_t> adapter_slots(const AdapterServeOptions& options, const scheduler::Config& config,
                              const backend::Capabilities& can);

}  // namespace touchstone::server
