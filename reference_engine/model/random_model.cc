#include "reference_engine/model/random_model.h"

#include <cstring>

#include "base/random.h"

namespace touchstone::model {
namespace {

constexpr float kStandardDeviation = 0.02F;

/// Sum of four 16-bit uniforms: close enough to normal for weights, and much cheaper than exact.
float roughly_normal(uint64_t bits) {
  int32_t sum = 0;
  for (int i = 0; i < 4; ++i) sum += static_cast<int32_t>((bits >> (16 * i)) & 0xFFFF);
  constexpr float kUnit = 1.0F / 37837.0F;  // 65536 / sqrt(3): the standard deviation of the sum
  return static_cast<float>(sum - 131070) * kUnit;
}

class Maker {
 public:
  Maker(DType dtype, uint64_t seed, std::vector<std::vector<std::byte>>& owned)
      : dtype_(dtype == DType::kBFloat16 ? dtype : DType::kFloat32),
        stream_(seed, "weights"),
        owned_(owned) {}

  Tensor make(std::vector<int64_t> shape, float mean) {
    Tensor tensor;
    tensor.dtype = dtype_;
    tensor.shape = std::move(shape);
    const int64_t count = tensor.elements();
    std::vector<std::byte> bytes(static_cast<size_t>(count * size_of(dtype_)));
    for (int64_t i = 0; i < count; ++i) {
      const float value = mean + kStandardDeviation * roughly_normal(stream_.next());
      if (dtype_ == DType::kFloat32) {
        std::memcpy(bytes.data() + 4 * i, &value, 4);
      } else {
        const uint16_t bits = float_to_bf16(value);
        std::memcpy(bytes.data() + 2 * i, &bits, 2);
      }
    }
    owned_.push_back(std::move(bytes));
    tensor.bytes = owned_.back();
    return tensor;
  }

 private:
  DType dtype_;
  RandomStream stream_;
  std::vector<std::vector<std::byte>>& owned_;
};

}  // namespace

LoadedModel random_model(const Config& config, uint64_t seed) {
  LoadedModel model;
  model.folder = "random";
  model.config = config;
  Maker maker(config.dtype, seed, model.owned);
  visit_tensors(
      config, model.weights,
      [&](const std::string&, const std::vector<int64_t>& shape, TensorRole role, Tensor& tensor) {
        tensor = maker.make(shape, role == TensorRole::kNorm ? 1.0F : 0.0F);
      });
  return model;
}

}  // namespace touchstone::model
