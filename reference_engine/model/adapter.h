// A LoRA adapter as PEFT writes it: adapter_config.json beside adapter_model.safetensors or
// adapter_model.bin. What would change the arithmetic and is not implemented is refused by the name
// of its key; which modules it changes is what its tensors say. Values; a loaded one is immutable.
// Source: peft 0.21 tuners/lora/config.py, utils/save_and_load.py, utils/other.py
// (get_pattern_key); vLLM 0.32 lora/{peft_helper,lora_model,utils}.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "reference_engine/model/config.h"
#include "reference_engine/model/tensor.h"

namespace touchstone::model {

/// What a projection of x adds to its result: scale * b · (a · x).
struct LowRank {
  Tensor a;  ///< (rank, inputs)
  Tensor b;  ///< (outputs, rank)
  double scale = 1.0;
};

/// Of one layer; absent: the projection is the base model's.
struct AdapterLayer {
  std::optional<LowRank> q, k, v, o, gate, up, down;
};

struct LoadedAdapter {
  std::vector<AdapterLayer> layers;  ///< as many as the model has
  std::string sha256;                ///< of its files, in hex
  std::vector<std::byte> bytes;      ///< what the tensors borrow
};

/// Reads the adapter in `folder` for a model of this configuration.
/// ERRORS: kNotFound without adapter_config.json; kUnsupported naming the key, the module, or a
/// rank beyond `max_rank`; kMalformed naming the file and tensor (a shape of another model, a NaN,
/// one matrix of two).
Result<LoadedAdapter> load_adapter(const std::string& folder, const Config& config,
                                   int32_t max_rank);

/// Elements of an adapter that changes every projection with `rank`, the rows of each matrix filled
/// up to a multiple of `rows_multiple`.
int64_t adapter_elements(const Config& config, int32_t rank, int64_t rows_multiple = 1);

}  // namespace touchstone::model
