#include "reference_engine/model/weight_files.h"

#include <unistd.h>

#include <map>
#include <set>
#include <utility>

#include "base/document.h"
#include "base/files.h"
#include "base/text.h"
#include "reference_engine/model/pytorch_bin.h"

namespace touchstone::model {
namespace {

/// A format: how its files are called and read.
struct Reader {
  const char* file;
  Result<TensorMap> (*parse)(const std::string& name, std::span<const std::byte> file);
};
constexpr Reader kSafetensors{"model.safetensors", parse_safetensors};
constexpr Reader kPyTorch{"pytorch_model.bin", parse_pytorch_bin};

/// Shard file names by tensor, from model.safetensors.index.json.
Result<std::map<std::string, std::string>> read_index(const std::string& path) {
  auto text = read_file(path);
  if (!text) return std::move(text).error();
  auto document = Document::parse_json(path, *text);
  if (!document) return std::move(document).error();
  document->ignore_unknown_keys();
  const Fields weight_map = document->root().required_object("weight_map");
  std::map<std::string, std::string> shards;
  for (const std::string& tensor : weight_map.keys()) {
    const std::string file = weight_map.required_string(tensor);
    if (file.empty() || file.find('/') != std::string::npos || file.front() == '.') {
      weight_map.fail(tensor, "got " + quote(file) + ", expected a file name in the same folder");
    }
    shards[tensor] = file;
  }
  RETURN_IF_ERROR(document->finish());
  return shards;
}

Status add_file(const Reader& reader, const std::string& path, WeightFiles& weights) {
  auto file = MappedFile::open(path);
  if (!file) return std::move(file).error();
  auto tensors = reader.parse(path, file->bytes());
  if (!tensors) return std::move(tensors).error();
  for (auto& [name, tensor] : *tensors) {
    if (!weights.tensors.emplace(name, std::move(tensor)).second) {
      return malformed(path + ": " + quote(name) + ": is in another shard too");
    }
  }
  weights.files.push_back(*std::move(file));
  return {};
}

bool is_there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Result<WeightFiles> open_shards(const Reader& reader, const std::string& folder,
                                const std::string& index) {
  WeightFiles weights;
  auto shards = read_index(index);
  if (!shards) return std::move(shards).error();
  std::set<std::string> files;
  for (const auto& [tensor, file] : *shards) files.insert(file);
  for (const std::string& file : files) {
    RETURN_IF_ERROR(add_file(reader, folder + "/" + file, weights));
  }
  for (const auto& [tensor, file] : *shards) {
    if (!weights.tensors.contains(tensor)) {
      return malformed(index + ": weight_map." + tensor + ": " + quote(file) +
                       " does not have this tensor");
    }
  }
  for (const auto& [tensor, unused] : weights.tensors) {
    if (!shards->contains(tensor)) {
      return malformed(index + ": weight_map: " + quote(tensor) + " is in a shard but not listed");
    }
  }
  return weights;
}

}  // namespace

Result<WeightFiles> open_weights(const std::string& folder, WeightFormat format) {
  for (const Reader& reader : {kSafetensors, kPyTorch}) {
    const bool is_safetensors = reader.parse == kSafetensors.parse;
    if (format == WeightFormat::kSafetensors && !is_safetensors) continue;
    if (format == WeightFormat::kPyTorch && is_safetensors) continue;
    const std::string single = folder + "/" + reader.file;
    const std::string index = single + ".index.json";
    if (is_there(single)) {
      WeightFiles weights;
      RETURN_IF_ERROR(add_file(reader, single, weights));
      return weights;
    }
    if (is_there(index)) return open_shards(reader, folder, index);
  }
  return not_found(
      folder + ": no model.safetensors and no pytorch_model.bin, nor an index of shards",
      "a complete folder is what `hf download NAME` gets");
}

}  // namespace touchstone::model
