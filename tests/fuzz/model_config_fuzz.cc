// config.json and generation_config.json.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "reference_engine/model/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)touchstone::model::parse_config("input", text);
  touchstone::model::Config config;
  (void)touchstone::model::parse_generation_config("input", text, config);
  return 0;
}
