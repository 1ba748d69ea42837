// The shapes of models, from their config.json, for step times without weights. Values;
// thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace touchstone::simulator {

/// Of a decoder without experts, as its config.json has it.
struct ModelShape {
  std::string name;
  int64_t hidden = 0;
  int64_t intermediate = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t vocabulary = 0;

  int64_t qkv() const { return (heads + 2 * kv_heads) * head_dim; }
  /// Of the linear layers of all layers; without embedding and head.
  double layer_parameters() const;
  double head_parameters() const;
};

/// ERRORS: kNotFound, kIo, kInvalidArgument with file and field; kUnsupported for experts.
Result<ModelShape> read_model_shape(const std::string& config_json);

}  // namespace touchstone::simulator
