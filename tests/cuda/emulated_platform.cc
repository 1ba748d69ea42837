#include "tests/cuda/emulated_platform.h"

#include "reference_engine/backend/cuda/kernel_gemm.h"
#include "tests/cuda/plain_gemm.h"

namespace touchstone::backend::cuda {

Platform emulated_platform(const EmulatedOptions& options) {
  return {
      .query = [options]() -> Result<DeviceFacts> { return EmulatedDevice(options).facts(); },
      .open = [options]() -> Result<std::unique_ptr<Device>> {
        return std::unique_ptr<Device>(std::make_unique<EmulatedDevice>(options));
      },
      .make_gemm = [](Device& device, const std::string& name) -> Result<std::unique_ptr<Gemm>> {
        return name == "kernels" ? kernel_gemm(device) : plain_gemm(device);
      },
      .gemms = {"plain", "kernels"},
      .describe = [](const DeviceFacts& facts) { return facts.name; }};
}

}  // namespace touchstone::backend::cuda
