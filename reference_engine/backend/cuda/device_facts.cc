#include "base/text.h"
#include "reference_engine/backend/cuda/device_api.h"

namespace touchstone::backend::cuda {
namespace {

// Kernels are compiled for 8.0 and newer: asynchronous copies and bf16 tensor cores begin there.
constexpr int32_t kLeastComputeMajor = 8;

/// 13000 is "13.0".
std::string version_text(int32_t version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace

Status check_driver(const DeviceFacts& facts) {
  if (facts.driver_version == 0) {
    return unavailable("CUDA: no NVIDIA driver is installed (libcuda.so.1 was not found)",
                       "in a container, start it with the NVIDIA runtime (docker run --gpus all)");
  }
  // Within one major version an older driver runs newer code.
  if (facts.driver_version / 1000 < facts.runtime_version / 1000) {
    return unavailable("CUDA driver: got one for CUDA " + version_text(facts.driver_version) +
                           ", expected " + std::to_string(facts.runtime_version / 1000) +
                           ".0 or newer",
                       "install NVIDIA driver 580 or newer");
  }
  return {};
}

Status check_facts(const DeviceFacts& facts) {
  RETURN_IF_ERROR(check_driver(facts));
  if (facts.compute_major < kLeastComputeMajor) {
    return unavailable("device " + std::to_string(facts.index) + " (" + facts.name +
                           "): got compute capability " + std::to_string(facts.compute_major) +
                           "." + std::to_string(facts.compute_minor) + ", expected " +
                           std::to_string(kLeastComputeMajor) + ".0 or newer",
                       "an A100, L4, RTX 30 or newer");
  }
  return {};
}

std::string describe_device(const DeviceFacts& facts, const Result<GpuFacts>& gpu) {
  std::string line = facts.name + " (GPU " + std::to_string(facts.index) + ", sm_" +
                     std::to_string(facts.compute_major) + std::to_string(facts.compute_minor) +
                     ", " + std::to_string(facts.multiprocessors) + " multiprocessors, " +
                     format_fixed(static_cast<double>(facts.total_bytes) / 0x1p30, 1) + " GiB)";
  if (!gpu) return line + ", " + gpu.error().message;
  return line + ", driver " + gpu->driver + ", " + std::to_string(gpu->sm_clock_mhz) + " of " +
         std::to_string(gpu->max_sm_clock_mhz) + " MHz, memory " +
         std::to_string(gpu->memory_clock_mhz) + " MHz, limit " +
         std::to_string(gpu->power_limit_w) + " W, " + std::to_string(gpu->temperature_c) +
         " C, throttled: " + (gpu->throttled.empty() ? "no" : join(gpu->throttled, " and "));
}

}  // namespace touchstone::backend::cuda
