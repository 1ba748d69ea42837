#include "simulator/steptime/hardware.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "base/document.h"
#include "base/files.h"
#include "base/text.h"

namespace touchstone::simulator {
namespace {

// Source: the system files of NVIDIA AIConfigurator 0.12.0 (Apache-2.0), which name the datasheets.
constexpr HardwareRow kRows[] = {
    {"a100_sxm", 2.039e12, 80 * 0x1p30, 312e12, 0, 300e9},
    {"h100_sxm", 3.35e12, 80 * 0x1p30, 989e12, 1978e12, 450e9},
    {"h200_sxm", 4.8e12, 141 * 0x1p30, 989e12, 1978e12, 450e9},
    {"b200_sxm", 7.7e12, 180 * 0x1p30, 2250e12, 4500e12, 900e9},
    {"l40s", 0.864e12, 48305799168.0, 362.05e12, 733e12, 32e9},
    {"rtx_pro_6000_server", 1.792e12, 102641958912.0, 467.8e12, 935.6e12, 64e9},
};

}  // namespace

std::span<const HardwareRow> hardware_rows() { return kRows; }

Result<HardwareRow> find_hardware(std::string_view name) {
  std::vector<std::string> names;
  for (const HardwareRow& row : kRows) {
    if (row.name == name) return row;
    names.emplace_back(row.name);
  }
  return invalid_argument("card: got " + quote(name) + ", expected one of " + join(names, ", "));
}

double ModelShape::layer_parameters() const {
  const double of_layer = static_cast<double>(hidden) * static_cast<double>(qkv()) +
                          static_cast<double>(heads * head_dim) * static_cast<double>(hidden) +
                          3.0 * static_cast<double>(hidden) * static_cast<double>(intermediate);
  return of_layer * static_cast<double>(layers);
}

double ModelShape::head_parameters() const {
  return static_cast<double>(hidden) * static_cast<double>(vocabulary);
}

Result<ModelShape> read_model_shape(const std::string& config_json) {
  const auto text = read_file(config_json);
  if (!text) return text.error();
  auto document = Document::parse_json(config_json, *text);
  if (!document) return std::move(document).error();
  document->ignore_unknown_keys();
  const Fields root = document->root();
  for (const char* experts : {"num_experts", "num_local_experts", "n_routed_experts"}) {
    if (!root.has(experts)) continue;
    return Error{ErrorCode::kUnsupported,
                 config_json + ": " + experts + ": got a model with experts, expected one without"};
  }
  const auto count = [&](const char* key) { return root.int_in(key, 0, 1, 1'000'000); };
  ModelShape shape{.hidden = count("hidden_size"),
                   .intermediate = count("intermediate_size"),
                   .layers = count("num_hidden_layers"),
                   .heads = count("num_attention_heads"),
                   .vocabulary = root.int_in("vocab_size", 0, 1, 10'000'000)};
  shape.kv_heads = root.int_in("num_key_value_heads", shape.heads, 1, 1'000'000);
  shape.head_dim =
      root.int_in("head_dim", shape.hidden / std::max<int64_t>(1, shape.heads), 1, 1'000'000);
  shape.name = root.optional_string("_name_or_path").value_or("");
  for (const char* key : {"hidden_size", "intermediate_size", "num_hidden_layers",
                          "num_attention_heads", "vocab_size"}) {
    if (!root.has(key)) root.fail(key, "got none, expected the model's");
  }
  RETURN_IF_ERROR(document->finish());
  return shape;
}

}  // namespace touchstone::simulator
