// safetensors images: header, offsets, and every byte that the tensors claim to have.
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "reference_engine/model/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto tensors = touchstone::model::parse_safetensors(
      "input", std::as_bytes(std::span<const uint8_t>(data, size)));
  if (!tensors) return 0;
  for (const auto& [name, tensor] : *tensors) {
    std::vector<float> values(static_cast<size_t>(tensor.elements()));
    touchstone::model::read_floats(tensor, 0, values);
  }
  return 0;
}
