#include "simulator/steptime/model_shape.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/document.h"
#include "base/files.h"

namespace touchstone::simulator {

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
