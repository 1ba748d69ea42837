// A pickle that describes tensors, and nothing else: dictionaries of names to tensors that lie in
// storages elsewhere. No object is made and no function is called that the pickle names; what it
// names besides tensors is refused. Pure.
// Source: Python's Lib/pickletools.py (protocol 2); PyTorch 2.x torch/_utils.py
// (_rebuild_tensor_v2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "reference_engine/model/config.h"

namespace touchstone::model {

/// A tensor as the pickle has it: elements of a storage.
struct PickledTensor {
  std::string storage;  ///< the entry "data/<storage>"
  DType dtype = DType::kFloat32;
  int64_t first = 0;  ///< element
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  ///< in elements
};

/// ERRORS: kMalformed; kUnsupported naming what is no tensor.
Result<std::map<std::string, PickledTensor>> read_tensor_pickle(const std::string& name,
                                                                std::span<const std::byte> pickle);

}  // namespace touchstone::model
