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
  const int64_t hidden = config.hidden_size;
  const int64_t q_rows = int64_t{config.num_heads} * config.head_dim;
  const int64_t kv_rows = int64_t{config.num_kv_heads} * config.head_dim;
  DecoderWeights& weights = model.weights;
  weights.embedding = maker.make({config.vocab_size, hidden}, 0);
  for (int32_t i = 0; i < config.num_layers; ++i) {
    LayerWeights layer;
    layer.input_norm = maker.make({hidden}, 1);
    layer.q = maker.make({q_rows, hidden}, 0);
    layer.k = maker.make({kv_rows, hidden}, 0);
    layer.v = maker.make({kv_rows, hidden}, 0);
    layer.o = maker.make({hidden, q_rows}, 0);
    layer.post_norm = maker.make({hidden}, 1);
    layer.gate = maker.make({config.intermediate_size, hidden}, 0);
    layer.up = maker.make({config.intermediate_size, hidden}, 0);
    layer.down = maker.make({hidden, config.intermediate_size}, 0);
    weights.layers.push_back(std::move(layer));
  }
  weights.final_norm = maker.make({hidden}, 1);
  weights.lm_head =
      config.tie_word_embeddings ? weights.embedding : maker.make({config.vocab_size, hidden}, 0);
  return model;
}

}  // namespace touchstone::model
