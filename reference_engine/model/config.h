// What config.json and generation_config.json of a Hugging Face folder say, checked. What an
// architecture makes of its own keys is in its file; see architectures.h.
// Source: transformers 5.x configuration_utils.py and generation/configuration_utils.py, with the
// older spellings (torch_dtype) that published folders still carry. Values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "reference_engine/model/spec.h"

namespace touchstone::model {

/// How a tensor's elements are stored.
enum class DType { kFloat32, kFloat16, kBFloat16 };
const char* to_string(DType dtype);  // "float32", "float16", "bfloat16"
int64_t size_of(DType dtype);        // bytes of one element

/// Shape and meaning of a decoder-only transformer.
struct Config {
  std::string architecture;  ///< "LlamaForCausalLM"
  int32_t vocab_size = 0;
  int32_t hidden_size = 0;
  int32_t intermediate_size = 0;
  int32_t num_layers = 0;
  int32_t num_heads = 0;
  int32_t num_kv_heads = 0;  ///< divides num_heads
  int32_t head_dim = 0;
  int32_t max_position_embeddings = 0;  ///< longest sequence, stretched as rope scaling says
  Spec spec;
  DType dtype = DType::kFloat32;  ///< what the folder says it was made in
  std::optional<int32_t> bos_token_id;
  std::vector<int32_t> eos_token_ids;  ///< generation_config.json's, else config.json's
};

/// Sampling defaults of generation_config.json; absent where the file does not set them.
struct GenerationDefaults {
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<int32_t> top_k;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
  std::optional<int32_t> max_new_tokens;
};

/// `name` is what messages call the text.
/// ERRORS: kMalformed with the field; kUnsupported naming the key whose meaning is not implemented
/// (quantization_config, another architecture, what the architecture refuses).
Result<Config> parse_config(const std::string& name, std::string_view text);
/// A folder's file says much that concerns others; what a person writes is refused instead.
enum class OtherKeys { kIgnored, kRefused };
/// Reads the defaults and replaces `config.eos_token_ids` when the text names some.
Result<GenerationDefaults> parse_generation_config(const std::string& name, std::string_view text,
                                                   Config& config,
                                                   OtherKeys others = OtherKeys::kIgnored);
/// `over` where it says something, else `base`.
GenerationDefaults overridden(const GenerationDefaults& base, const GenerationDefaults& over);

}  // namespace touchstone::model
