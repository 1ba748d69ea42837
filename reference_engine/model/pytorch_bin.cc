#include "reference_engine/model/pytorch_bin.h"

#include <limits>
#include <optional>
#include <string_view>

#include "base/text.h"
#include "reference_engine/model/stored_zip.h"
#include "reference_engine/model/tensor_pickle.h"

namespace touchstone::model {
namespace {

/// Elements of a tensor that lies row by row; nullopt when it does not, or there are too many.
std::optional<int64_t> contiguous_elements(const PickledTensor& tensor) {
  int64_t elements = 1;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != elements) return std::nullopt;
    if (tensor.shape[i] != 0 &&
        elements > std::numeric_limits<int64_t>::max() / 8 / tensor.shape[i]) {
      return std::nullopt;
    }
    elements *= tensor.shape[i];
  }
  return elements;
}

}  // namespace

Result<TensorMap> parse_pytorch_bin(const std::string& name, std::span<const std::byte> file) {
  auto entries = read_stored_zip(name, file);
  if (!entries) return std::move(entries).error();
  std::string folder;  // "archive/"
  for (const auto& [entry, content] : *entries) {
    constexpr std::string_view kPickle = "/data.pkl";
    if (entry.ends_with(kPickle)) folder = entry.substr(0, entry.size() - kPickle.size() + 1);
  }
  const auto pickle = entries->find(folder + "data.pkl");
  if (folder.empty() || pickle == entries->end()) {
    return malformed(name + ": has no data.pkl, so torch.save() did not write it");
  }
  const auto order = entries->find(folder + "byteorder");
  if (order != entries->end() && order->second.size() != 6) {  // "little"
    return Error{ErrorCode::kUnsupported, name + ": its numbers are big-endian", {}};
  }
  auto pickled = read_tensor_pickle(name, pickle->second);
  if (!pickled) return std::move(pickled).error();
  TensorMap tensors;
  for (const auto& [key, tensor] : *pickled) {
    const std::string where = name + ": tensor " + quote(key);
    const auto storage = entries->find(folder + "data/" + tensor.storage);
    if (storage == entries->end()) return malformed(where + ": its storage is not there");
    const auto elements = contiguous_elements(tensor);
    if (!elements) {
      return Error{ErrorCode::kUnsupported, where + ": does not lie row by row",
                   "save it again with .contiguous(), or as safetensors"};
    }
    const auto held = static_cast<int64_t>(storage->second.size()) / size_of(tensor.dtype);
    if (tensor.first > held || *elements > held - tensor.first) {
      return malformed(where + ": reaches beyond its storage");
    }
    const auto width = static_cast<size_t>(size_of(tensor.dtype));
    tensors[key] = {.dtype = tensor.dtype,
                    .shape = tensor.shape,
                    .bytes = storage->second.subspan(static_cast<size_t>(tensor.first) * width,
                                                     static_cast<size_t>(*elements) * width)};
  }
  return tensors;
}

}  // namespace touchstone::model
