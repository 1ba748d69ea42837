// A model's weights on the device, as the kernels want them: projections of the same input stacked,
// rows padded to 8 elements, everything in one element type and one piece of memory.
// Immutable once made; thread-compatible.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "reference_engine/backend/cuda/device_memory.h"
#include "reference_engine/backend/cuda/gemm.h"
#include "reference_engine/model/loaded_model.h"

namespace touchstone::backend::cuda {

/// Elements from row to row of a matrix of this width.
constexpr int64_t padded_width(int64_t width) { return (width + 7) / 8 * 8; }

struct NormWeights {
  const void* weight = nullptr;
  const void* bias = nullptr;  ///< null: none
};

/// Several projections of the same input, one after the other.
struct Projection {
  GemmWeights weights;
  int32_t gemm = 0;  ///< its number in Gemm
};

struct LayerOnDevice {
  NormWeights attention_norm;
  Projection qkv;  ///< columns of q, then k, then v
  const void* q_norm = nullptr;
  const void* k_norm = nullptr;
  Projection o;
  NormWeights feed_forward_norm;
  Projection gate_up;  ///< gate, then up from column up_column(); or up alone
  Projection down;
};

class Weights final {
 public:
  /// ERRORS: kUnavailable: the bytes needed and free; whatever `gemm` refuses.
  static Result<Weights> upload(Device& device, Gemm& gemm, const model::LoadedModel& model,
                                Element element);

  int64_t bytes() const { return memory_.size(); }
  const void* embedding = nullptr;  ///< (vocab, hidden)
  const void* positions = nullptr;  ///< (positions, hidden); null: none
  std::vector<LayerOnDevice> layers;
  NormWeights final_norm;
  Projection lm_head;
  const float* cosines = nullptr;  ///< (max positions, head_dim / 2) f32; null: no rotation
  const float* sines = nullptr;

 private:
  DeviceBuffer memory_;
};

/// Where the up projection begins beside a gate.
constexpr int64_t up_column(int64_t intermediate_size) { return padded_width(intermediate_size); }

}  // namespace touchstone::backend::cuda
