// What the driver's management library says of NVIDIA GPUs. It is loaded at run time, because it
// comes with the driver and no program may need it. Source: NVML API reference, R580. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace touchstone {

/// One GPU, as of the call. What its kind does not know is 0.
struct GpuFacts {
  std::string name;    ///< "NVIDIA H100 80GB HBM3"
  std::string driver;  ///< "580.65.06"
  int32_t sm_clock_mhz = 0;
  int32_t max_sm_clock_mhz = 0;
  int32_t memory_clock_mhz = 0;
  int32_t power_limit_w = 0;
  int32_t temperature_c = 0;
  std::vector<std::string> throttled;  ///< why clocks are lower than they could be; empty: are not
};

inline constexpr const char* kNvmlLibrary = "libnvidia-ml.so.1";

/// All GPUs of this machine. ERRORS: kUnavailable: no such library, or what it answered.
Result<std::vector<GpuFacts>> read_gpus(const std::string& library = kNvmlLibrary);
/// The one with this address, as CUDA writes it: "00000000:18:00.0". ERRORS: as read_gpus().
Result<GpuFacts> read_gpu(const std::string& pci_bus_id, const std::string& library = kNvmlLibrary);

}  // namespace touchstone
