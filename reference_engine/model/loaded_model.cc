#include "reference_engine/model/loaded_model.h"

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

Result<LoadedModel> load_model(const std::string& folder, const LoadOptions& options) {
  const bool dummy = options.format == "dummy";
  if (!dummy && options.format != "auto" && options.format != "safetensors") {
    return invalid_argument("--load-format: got " + quote(options.format) +
                            ", expected auto, safetensors or dummy");
  }
  LoadedModel model;
  model.folder = folder;
  auto config = load_config(folder, &model.generation);
  if (!config) return std::move(config).error();
  if (dummy) {
    LoadedModel random = random_model(*config, options.seed);
    random.folder = folder;
    random.generation = model.generation;
    return random;
  }
  model.config = *std::move(config);
  auto files = open_weights(folder);
  if (!files) return std::move(files).error();
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
