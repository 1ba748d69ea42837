#include "reference_engine/model/loaded_model.h"

#include <map>
#include <string_view>
#include <utility>

#include "base/files.h"
#include "base/text.h"
#include "reference_engine/model/random_model.h"

namespace touchstone::model {

int64_t LoadedModel::num_parameters() const {
  int64_t count = 0;
  DecoderWeights copy = weights;  // of places, not of elements
  visit_tensors(config, copy,
                [&](const std::string&, const std::vector<int64_t>&, TensorRole, Tensor& tensor) {
                  count += tensor.elements();
                });
  return count;
}

Result<Config> load_config(const std::string& folder, GenerationDefaults* generation) {
  const std::string path = folder + "/config.json";
  auto text = read_file(path);
  if (!text) {
    Error error = std::move(text).error();
    error.hint = "--model takes a Hugging Face folder with config.json and safetensors weights";
    return error;
  }
  auto config = parse_config(path, *text);
  if (!config) return std::move(config).error();
  const std::string generation_path = folder + "/generation_config.json";
  auto generation_text = read_file(generation_path);
  if (generation_text) {
    auto defaults = parse_generation_config(generation_path, *generation_text, *config);
    if (!defaults) return std::move(defaults).error();
    if (generation != nullptr) *generation = *defaults;
  } else if (generation_text.error().code != ErrorCode::kNotFound) {
    return std::move(generation_text).error();
  }
  for (const int32_t id : config->eos_token_ids) {
    if (id >= config->vocab_size) {
      return malformed(path + ": eos_token_id: got " + std::to_string(id) +
                       ", expected less than vocab_size " + std::to_string(config->vocab_size));
    }
  }
  return *std::move(config);
}

Result<GenerationDefaults> load_generation_defaults(const std::string& folder) {
  const std::string path = folder + "/generation_config.json";
  const auto text = read_file(path);
  if (!text) return text.error();
  Config ends;  // those are the model's own
  return parse_generation_config(path, *text, ends);
}

namespace {

/// Folders that were saved without their head, as OPT's first ones, leave "model." out of the
/// names.
void add_missing_prefix(const std::string& embedding, TensorMap& tensors) {
  constexpr std::string_view kPrefix = "model.";
  if (!embedding.starts_with(kPrefix) || tensors.contains(embedding + ".weight") ||
      !tensors.contains(embedding.substr(kPrefix.size()) + ".weight")) {
    return;
  }
  TensorMap named;
  for (auto& [name, tensor] : tensors) {
    const bool is_head = name.starts_with("lm_head.");
    named[is_head ? name : std::string(kPrefix) + name] = std::move(tensor);
  }
  tensors = std::move(named);
}

}  // namespace

Result<LoadedModel> load_model(const std::string& folder, const LoadOptions& options) {
  static const std::map<std::string, WeightFormat> kFormats = {
      {"auto", WeightFormat::kAny},
      {"hf", WeightFormat::kAny},
      {"safetensors", WeightFormat::kSafetensors},
      {"pt", WeightFormat::kPyTorch}};
  const bool dummy = options.format == "dummy";
  const auto format = kFormats.find(options.format);
  if (!dummy && format == kFormats.end()) {
    return invalid_argument("--load-format: got " + quote(options.format) +
                            ", expected auto, hf, safetensors, pt or dummy");
  }
  LoadedModel model;
  model.folder = folder;
  auto config = load_config(folder);
  if (!config) return std::move(config).error();
  if (dummy) {
    LoadedModel random = random_model(*config, options.seed);
    random.folder = folder;
    return random;
  }
  model.config = *std::move(config);
  auto files = open_weights(folder, format->second);
  if (!files) return std::move(files).error();
  add_missing_prefix(model.config.spec.names.embedding, files->tensors);
  for (const auto& [name, tensor] : files->tensors) {
    if (const auto at = first_not_finite(tensor)) {
      return malformed(folder + ": tensor " + quote(name) + ": element " + std::to_string(*at) +
                           ": got a NaN or an infinity, expected finite weights",
                       "the file is damaged, or training diverged: every answer would be noise");
    }
  }
  auto weights = resolve_weights(model.config, files->tensors);
  if (!weights) return std::move(weights).error().with_context(folder);
  model.weights = *std::move(weights);
  model.files = std::move(files->files);
  return model;
}

}  // namespace touchstone::model
