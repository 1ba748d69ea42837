// Cards by name, as data, and the shapes of models, for step times of what nobody here has
// measured. Values; thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace touchstone::simulator {

struct HardwareRow {
  const char* name;           ///< as AIConfigurator names systems: "h100_sxm"
  double memory_bytes_per_s;  ///< of the datasheet
  double memory_bytes;
  double flops_16bit;       ///< dense tensor-core rate for bfloat16, per second
  double flops_8bit;        ///< 0: the card has none
  double link_bytes_per_s;  ///< between cards of a server, one direction
};

std::span<const HardwareRow> hardware_rows();
/// ERRORS: kInvalidArgument with the names there are.
Result<HardwareRow> find_hardware(std::string_view name);

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
