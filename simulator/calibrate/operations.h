// A model put together from measured operations of a card (operation_tables.h), without any run:
// what a step of vLLM does, operation by operation. Thread-compatible.
#pragma once

#include <string>

#include "base/result.h"
#include "simulator/steptime/model_file.h"

namespace touchstone::simulator {

struct OperationsOptions {
  std::string folder;
  std::string system;        ///< "h200_sxm"
  std::string model_config;  ///< the model's config.json
  std::string dtype = "bfloat16";
  int64_t tensor_parallel = 1;
};

/// ERRORS: those of read_operations() and read_model_shape(); kInvalidArgument when heads cannot be
/// split over the cards.
Result<ModelFile> compose_operations(const OperationsOptions& options);

}  // namespace touchstone::simulator
