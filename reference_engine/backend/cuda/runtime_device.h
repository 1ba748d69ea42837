// A GPU through the CUDA runtime: one stream, and graphs captured from it. Thread-compatible.
// Source: CUDA 13.0 Runtime API reference.
#pragma once

#include <memory>

#include "base/result.h"
#include "reference_engine/backend/cuda/device_api.h"

namespace touchstone::backend::cuda {

/// What is known of device `index` without taking it; facts with driver_version 0 where there is no
/// driver. ERRORS: kUnavailable: no such device.
Result<DeviceFacts> query_device(int32_t index);

/// Takes device `index`. REQUIRES: check_facts() accepts it. ERRORS: kUnavailable.
Result<std::unique_ptr<Device>> open_device(int32_t index);

}  // namespace touchstone::backend::cuda
