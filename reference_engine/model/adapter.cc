#include "reference_engine/model/adapter.h"

#include <array>
#include <cstring>
#include <filesystem>
#include <map>
#include <string_view>
#include <utility>

#include "base/files.h"
#include "base/sha256.h"
#include "base/text.h"
#include "reference_engine/model/adapter_config.h"
#include "reference_engine/model/pytorch_bin.h"
#include "reference_engine/model/safetensors.h"
#include "reference_engine/model/weights.h"

namespace touchstone::model {
namespace {

constexpr int64_t kConfigBytesMax = 1 << 20;
constexpr int64_t kHeaderBytesMax = 16 << 20;

/// What a projection is called by the architecture, and where an adapter keeps it.
struct Projection {
  std::string TensorNames::*name;
  std::optional<LowRank> AdapterLayer::*place;
};
constexpr std::array<Projection, 7> kProjections = {{
    {&TensorNames::q, &AdapterLayer::q},
    {&TensorNames::k, &AdapterLayer::k},
    {&TensorNames::v, &AdapterLayer::v},
    {&TensorNames::o, &AdapterLayer::o},
    {&TensorNames::gate, &AdapterLayer::gate},
    {&TensorNames::up, &AdapterLayer::up},
    {&TensorNames::down, &AdapterLayer::down},
}};

/// Shape, (outputs, inputs), of each matrix of the layers by module name.
std::map<std::string, std::vector<int64_t>> module_shapes(const Config& config) {
  std::map<std::string, std::vector<int64_t>> shapes;
  DecoderWeights none;
  visit_tensors(
      config, none,
      [&](const std::string& name, const std::vector<int64_t>& shape, TensorRole role, Tensor&) {
        if (role != TensorRole::kMatrix) return;
        if (!name.starts_with(config.spec.names.layer_prefix)) return;
        shapes[name.substr(0, name.size() - std::strlen(".weight"))] = shape;
      });
  return shapes;
}

/// A place for a module of the adapter.
struct Module {
  std::vector<int64_t> shape;
  int32_t layer = 0;
  std::optional<LowRank> AdapterLayer::*place = nullptr;
};

std::map<std::string, Module> modules_of(const Config& config) {
  std::map<std::string, Module> modules;
  const auto shapes = module_shapes(config);
  for (int32_t i = 0; i < config.num_layers; ++i) {
    const std::string prefix = config.spec.names.layer_prefix + std::to_string(i) + ".";
    for (const Projection& projection : kProjections) {
      const std::string name = prefix + config.spec.names.*projection.name;
      const auto shape = shapes.find(name);
      if (shape != shapes.end()) modules[name] = {shape->second, i, projection.place};
    }
  }
  return modules;
}

/// The words that target_modules may hold, for a message.
std::string target_names(const Config& config) {
  std::vector<std::string> names;
  for (const Projection& projection : kProjections) {
    const std::string& name = config.spec.names.*projection.name;
    if (!name.empty()) names.push_back(name.substr(name.rfind('.') + 1));
  }
  return join(names, ", ");
}

/// A file that cannot make its reader wait or take all memory.
Result<std::string> read_small_file(const std::string& path, int64_t bytes_max) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    return malformed(path + ": expected a file");
  }
  const auto size = std::filesystem::file_size(path, ignored);
  if (!ignored && size > static_cast<uint64_t>(bytes_max)) {
    return malformed(path + ": got " + std::to_string(size) + " bytes, expected at most " +
                     std::to_string(bytes_max) + " for this model and rank");
  }
  return read_file(path);
}

/// Fills one adapter from its tensors.
class Filler final {
 public:
  Filler(std::string path, const Config& config, const AdapterConfig& settings)
      : path_(std::move(path)),
        config_(config),
        settings_(settings),
        modules_(modules_of(config)),
        layers_(static_cast<size_t>(config.num_layers)) {}

  Result<std::vector<AdapterLayer>> fill(const TensorMap& tensors) {
    for (const auto& [name, tensor] : tensors) RETURN_IF_ERROR(add(name, tensor));
    if (found_.empty()) return malformed(path_ + ": holds no matrix of an adapter");
    for (const auto& [module, sides] : found_) {
      if (sides == 3) continue;
      return malformed(path_ + ": " + quote(module) + ": lora_" + (sides == 1 ? "B" : "A") +
                       ".weight is missing");
    }
    return std::move(layers_);
  }

 private:
  Status refuse(const std::string& name, const std::string& why) const {
    return Error{ErrorCode::kUnsupported, path_ + ": tensor " + quote(name) + ": " + why,
                 "only the projections of the layers are adapted: " + target_names(config_)};
  }

  Status add(const std::string& name, const Tensor& tensor) {
    std::string_view module = name;
    // PEFT keeps the tables as they were beside a vocabulary that grew.
    if (module.ends_with(".embed_tokens.base_layer.weight") ||
        module.ends_with(".lm_head.base_layer.weight")) {
      return {};
    }
    constexpr std::string_view kPrefix = "base_model.model.";
    if (module.starts_with(kPrefix)) module.remove_prefix(kPrefix.size());
    const bool is_a = module.ends_with(".lora_A.weight");
    if (!is_a && !module.ends_with(".lora_B.weight")) {
      return refuse(name, "expected one that ends in lora_A.weight or lora_B.weight");
    }
    module.remove_suffix(std::strlen(".lora_A.weight"));
    const auto found = modules_.find(std::string(module));
    if (found == modules_.end()) {
      return refuse(name, quote(std::string(module)) + " is no module that is adapted");
    }
    return put(name, tensor, found->first, found->second, is_a);
  }

  Status put(const std::string& name, const Tensor& tensor, const std::string& module_name,
             const Module& module, bool is_a) {
    const AdapterConfig::Shape shape = settings_.shape_of(module_name);
    const std::vector<int64_t> expected = is_a ? std::vector<int64_t>{shape.rank, module.shape[1]}
                                               : std::vector<int64_t>{module.shape[0], shape.rank};
    if (tensor.shape != expected) {
      return malformed(
          path_ + ": tensor " + quote(name) + ": got shape " + to_string(tensor.shape) +
              ", expected " + to_string(expected),
          "the adapter is of another model, or adapter_config.json of another adapter");
    }
    if (const auto at = first_not_finite(tensor)) {
      return malformed(path_ + ": tensor " + quote(name) + ": element " + std::to_string(*at) +
                       ": got a NaN or an infinity, expected finite weights");
    }
    auto& place = layers_[static_cast<size_t>(module.layer)].*module.place;
    if (!place) place.emplace();
    (is_a ? place->a : place->b) = tensor;
    place->scale = shape.scale;
    found_[module_name] |= is_a ? 1 : 2;
    return {};
  }

  const std::string path_;
  const Config& config_;
  const AdapterConfig& settings_;
  const std::map<std::string, Module> modules_;
  std::vector<AdapterLayer> layers_;
  std::map<std::string, int> found_;  // 1: lora_A is there, 2: lora_B
};

/// The weights' file, and how it is read.
struct WeightsFile {
  std::string path;
  Result<TensorMap> (*parse)(const std::string& name, std::span<const std::byte> file) = nullptr;
};

Result<WeightsFile> find_weights(const std::string& folder) {
  std::error_code ignored;
  for (const WeightsFile& file :
       {WeightsFile{folder + "/adapter_model.safetensors", parse_safetensors},
        WeightsFile{folder + "/adapter_model.bin", parse_pytorch_bin}}) {
    if (std::filesystem::exists(file.path, ignored)) return file;
  }
  return malformed(folder + ": no adapter_model.safetensors and no adapter_model.bin");
}

}  // namespace

int64_t adapter_elements(const Config& config, int32_t rank, int64_t rows_multiple) {
  const auto filled_up = [&](int64_t rows) {
    return (rows + rows_multiple - 1) / rows_multiple * rows_multiple;
  };
  int64_t elements = 0;
  for (const auto& [name, shape] : module_shapes(config)) {
    elements += filled_up(rank) * shape[1] + filled_up(shape[0]) * rank;
  }
  return elements;
}

Result<LoadedAdapter> load_adapter(const std::string& folder, const Config& config,
                                   int32_t max_rank) {
  const std::string config_path = folder + "/adapter_config.json";
  auto text = read_small_file(config_path, kConfigBytesMax);
  if (!text) return std::move(text).error();
  const auto settings = parse_adapter_config(config_path, *text);
  if (!settings) return settings.error();
  if (settings->largest_rank() > max_rank) {
    return Error{ErrorCode::kUnsupported,
                 config_path + ": LoRA rank " + std::to_string(settings->largest_rank()) +
                     " is greater than max_lora_rank " + std::to_string(max_rank) + ".",
                 "--max-lora-rank raises the limit"};
  }
  const auto file = find_weights(folder);
  if (!file) return file.error();
  const int64_t tables = 2 * int64_t{config.vocab_size} * config.hidden_size;
  auto weights = read_small_file(
      file->path, kHeaderBytesMax + 4 * (adapter_elements(config, max_rank) + tables));
  if (!weights) return std::move(weights).error();
  LoadedAdapter adapter;
  adapter.bytes.resize(weights->size());
  std::memcpy(adapter.bytes.data(), weights->data(), weights->size());
  adapter.sha256 = sha256_hex(sha256_hex(*text) + sha256_hex(*weights));
  weights->clear();
  const auto tensors = file->parse(file->path, adapter.bytes);
  if (!tensors) return tensors.error();
  auto layers = Filler(file->path, config, *settings).fill(*tensors);
  if (!layers) return std::move(layers).error();
  adapter.layers = *std::move(layers);
  return adapter;
}

}  // namespace touchstone::model
