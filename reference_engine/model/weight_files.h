// The files that hold a folder's weights: safetensors, or pytorch_model.bin as older folders have
// it; one file, or shards with an index. Thread-compatible.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "reference_engine/model/safetensors.h"

namespace touchstone::model {

struct WeightFiles {
  std::vector<MappedFile> files;
  TensorMap tensors;  ///< they borrow `files`
};

enum class WeightFormat {
  kAny,  ///< safetensors when there are some, else PyTorch's
  kSafetensors,
  kPyTorch
};

/// ERRORS: as parse_safetensors() and parse_pytorch_bin(); kNotFound when the folder has no weights
/// of the format; kMalformed when the index and the shards disagree.
Result<WeightFiles> open_weights(const std::string& folder, WeightFormat format);

}  // namespace touchstone::model
