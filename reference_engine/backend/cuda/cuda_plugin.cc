// The CUDA backend as a shared object behind the C table.
#include "reference_engine/backend/cuda/cublaslt_gemm.h"
#include "reference_engine/backend/cuda/cuda_backend.h"
#include "reference_engine/backend/cuda/kernel_gemm.h"
#include "reference_engine/backend/cuda/runtime_device.h"
#include "reference_engine/backend/plugin_export.h"

namespace touchstone::backend::cuda {
namespace {

// CUDA_VISIBLE_DEVICES says which one that is, as for every CUDA program.
constexpr int32_t kDevice = 0;

Platform runtime_platform() {
  return {
      .query = [] { return query_device(kDevice); },
      .open = [] { return open_device(kDevice); },
      .make_gemm = [](Device& device, const std::string& name) -> Result<std::unique_ptr<Gemm>> {
        if (name == "kernels") return kernel_gemm(device);
        return cublaslt_gemm(device);
      },
      .gemms = {"cublaslt", "kernels"},
      .describe =
          [](const DeviceFacts& facts) {
            return describe_device(facts, read_gpu(facts.pci_bus_id));
          }};
}

}  // namespace
}  // namespace touchstone::backend::cuda

extern "C" __attribute__((visibility("default"))) const TouchstonePlugin*
touchstone_backend_plugin() {
  using touchstone::backend::cuda::cuda_factory;
  static const std::unique_ptr<touchstone::backend::BackendFactory> kFactory =
      cuda_factory(touchstone::backend::cuda::runtime_platform());
  static const TouchstonePlugin kTable = touchstone::backend::export_plugin(*kFactory, "cuda");
  return &kTable;
}
