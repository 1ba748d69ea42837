// pytorch_model.bin: what torch.save() writes, a zip archive with a pickle that says which tensors
// lie where in it. The reader knows the few words of a pickle that describe tensors and runs
// nothing: everything else is refused by name. Tensors borrow the file. Source: PyTorch 2.x
// torch/serialization.py, caffe2/serialize/inline_container.cc; Python's pickle protocol 2;
// APPNOTE.TXT 6.3 (zip). Pure.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"
#include "reference_engine/model/safetensors.h"

namespace touchstone::model {

/// `name` is what messages call the file. ERRORS: kMalformed, kUnsupported (element types other
/// than F32, F16, BF16; tensors that do not lie row by row; the format before PyTorch 1.6).
Result<TensorMap> parse_pytorch_bin(const std::string& name, std::span<const std::byte> file);

}  // namespace touchstone::model
