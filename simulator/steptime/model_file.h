// A learned step-time model as a file (JSON, version kModelFileVersion): what calibrate writes, and
// `--steptime model.json` reads. Values; thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "simulator/steptime/learned.h"
#include "simulator/steptime/table_shape.h"
#include "simulator/steptime/terms.h"

namespace touchstone::simulator {

inline constexpr int64_t kModelFileVersion = 1;

/// One thing that a model was learned from.
struct ModelOrigin {
  std::string name;    ///< of the folder
  std::string engine;  ///< "vllm 0.32.0"
  std::string model;
  std::string hardware;
  std::string role;  ///< "shape", "anchor", "shape and anchor", "operations"
  int64_t requests = 0;
  int64_t fitted = 0;  ///< of them, the first by arrival: their times were used
  std::map<std::string, std::string> digests;  ///< sha256 by file name
};

struct ModelFile {
  std::variant<StepTerms, StepTable> shape;  ///< StepTerms: nanoseconds per unit
  Validity validity;
  Anchor anchor;
  NoiseLevel noise;
  FrontendLatency frontend;
  std::vector<std::string> unidentified;   ///< terms about which the data said nothing
  std::map<std::string, double> held_out;  ///< errors by key, "tpot_mean_error"
  std::vector<ModelOrigin> origins;
  std::vector<std::string> notes;
};

std::string model_file_json(const ModelFile& file);
/// ERRORS: kNotFound, kIo; kInvalidArgument with file and field, for another version too.
Result<ModelFile> read_model_file(const std::string& path);

/// Whether --steptime names a model file: PATH.json, without a colon.
bool is_model_file(std::string_view text);
/// How many of a run's requests, the first by arrival, the model was learned from. `digests`: of
/// the run's files, by name.
size_t requests_learned_from(const ModelFile& file,
                             const std::map<std::string, std::string>& digests);

std::shared_ptr<const StepShape> shape_of(const ModelFile& file);
std::unique_ptr<StepTimeModel> make_step_time(const ModelFile& file);

}  // namespace touchstone::simulator
