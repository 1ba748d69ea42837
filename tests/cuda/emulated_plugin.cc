// The CUDA backend over the emulator as the shared object that `touchstone serve --device cuda`
// looks for. EMULATED_FAILS_AT: the item of the device's queue that fails for good.
#include <cstdlib>

#include "base/text.h"
#include "reference_engine/backend/plugin_export.h"
#include "tests/cuda/emulated_platform.h"

namespace {

touchstone::backend::cuda::EmulatedOptions options_of_environment() {
  touchstone::backend::cuda::EmulatedOptions options{.find_races = false};
  if (const char* item = std::getenv("EMULATED_FAILS_AT")) {
    options.fails_at = touchstone::parse_int(item);
  }
  return options;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const TouchstonePlugin*
touchstone_backend_plugin() {
  using touchstone::backend::cuda::cuda_factory;
  using touchstone::backend::cuda::emulated_platform;
  static const std::unique_ptr<touchstone::backend::BackendFactory> kFactory =
      cuda_factory(emulated_platform(options_of_environment()));
  static const TouchstonePlugin kTable = touchstone::backend::export_plugin(*kFactory, "cuda");
  return &kTable;
}
