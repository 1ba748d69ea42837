// A model ready for a backend: checked config and weights by role, in memory that this owns
// (usually a map of the files). Immutable; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "reference_engine/model/config.h"
#include "reference_engine/model/safetensors.h"
#include "reference_engine/model/weight_files.h"
#include "reference_engine/model/weights.h"

namespace touchstone::model {

struct LoadedModel {
  std::string folder;
  Config config;
  DecoderWeights weights;  ///< borrows `files` or `owned`
  std::vector<MappedFile> files;
  std::vector<std::vector<std::byte>> owned;  ///< for models that were not read from files

  /// Elements of all tensors, tied ones once.
  int64_t num_parameters() const;
};

/// Only config.json and generation_config.json, checked; for what needs no weights. `generation`
/// gets the latter's sampling defaults.
Result<Config> load_config(const std::string& folder, GenerationDefaults* generation = nullptr);
/// generation_config.json of another folder, which must be there.
Result<GenerationDefaults> load_generation_defaults(const std::string& folder);

/// vLLM's --load-format.
struct LoadOptions {
  /// "auto", "hf", "safetensors" and "pt": the folder's weights, the first two in either format.
  /// "dummy": random ones (random_model.h), for
  /// which the folder needs no files but config.json.
  std::string format = "auto";
  uint64_t seed = 0;  ///< of dummy weights
};

/// ERRORS: kNotFound, kMalformed, kUnsupported, each with file and field or tensor;
/// kInvalidArgument (the format). Everything that the configuration can refuse is refused before a
/// weight is read.
Result<LoadedModel> load_model(const std::string& folder, const LoadOptions& options = {});

}  // namespace touchstone::model
