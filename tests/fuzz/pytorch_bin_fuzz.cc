// pytorch_model.bin: archives and pickles.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "reference_engine/model/pytorch_bin.h"
#include "reference_engine/model/tensor_pickle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  (void)touchstone::model::read_tensor_pickle("input", bytes);
  const auto tensors = touchstone::model::parse_pytorch_bin("input", bytes);
  if (!tensors) return 0;
  for (const auto& [name, tensor] : *tensors) {
    std::vector<float> values(static_cast<size_t>(tensor.elements()));
    read_floats(tensor, 0, values);
  }
  return 0;
}
