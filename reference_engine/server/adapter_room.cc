#include "reference_engine/server/adapter_room.h"

#include <algorithm>
#include <string>

namespace touchstone::server {

Result<int32_t> adapter_slots(const AdapterServeOptions& options, const scheduler::Config& config,
                              const backend::Capabilities& can) {
  if (!options.enabled) return 0;
  const int32_t cached = options.max_cpu_loras.value_or(config.max_loras);
  if (cached < config.max_loras) {
    return invalid_argument("--max-cpu-loras: max_cpu_loras (" + std::to_string(cached) +
                            ") must be >= max_loras (" + std::to_string(config.max_loras) + ").");
  }
  const int32_t planned = config.max_loras * (config.async_scheduling ? 2 : 1);
  const int32_t slots = std::max(cached, planned);
  if (can.max_adapters == 0) {
    return Error{ErrorCode::kUnsupported, "--enable-lora: this backend computes no adapters",
                 "--device cpu does"};
  }
  if (slots > can.max_adapters) {
    return invalid_argument("--max-loras: got room for " + std::to_string(slots) +
                            " adapters, expected at most " + std::to_string(can.max_adapters));
  }
  return slots;
}

}  // namespace touchstone::server
