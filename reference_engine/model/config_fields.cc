#include "reference_engine/model/config_fields.h"

#include <limits>

#include "base/text.h"

namespace touchstone::model {

using nlohmann::json;

Error unsupported(const std::string& where, const std::string& what, const std::string& hint) {
  return {ErrorCode::kUnsupported, where + ": " + what, hint};
}

int32_t read_count(const Fields& root, const std::string& key, int64_t fallback) {
  if (fallback == 0) (void)root.required_int(key);
  return static_cast<int32_t>(
      root.int_in(key, fallback, 1, std::numeric_limits<int32_t>::max() / 64));
}

Status refuse_other_values(const Fields& root, const std::vector<KnownKey>& keys) {
  for (const KnownKey& row : keys) {
    const json& got = root.raw(row.key);
    if (got.is_null() || got == row.implemented) continue;
    if (row.enabled_by != nullptr && root.raw(row.enabled_by) == json(false)) continue;
    return unsupported(root.where(row.key), std::string(row.key) + ": got " + got.dump() +
                                                ", only " + row.implemented.dump() +
                                                " is implemented");
  }
  return {};
}

void read_heads(const Fields& root, Config& config) {
  config.num_heads = read_count(root, "num_attention_heads");
  config.num_kv_heads =
      read_count(root, "num_key_value_heads", config.num_heads > 0 ? config.num_heads : 1);
  if (!root.raw("head_dim").is_null()) {
    config.head_dim = read_count(root, "head_dim");
  } else if (config.num_heads > 0) {
    config.head_dim = config.hidden_size / config.num_heads;
    if (config.hidden_size % config.num_heads != 0) {
      root.fail("num_attention_heads", "got " + std::to_string(config.num_heads) +
                                           ", expected a divisor of hidden_size " +
                                           std::to_string(config.hidden_size));
    }
  }
  if (config.num_kv_heads > 0 && config.num_heads % config.num_kv_heads != 0) {
    root.fail("num_key_value_heads", "got " + std::to_string(config.num_kv_heads) +
                                         ", expected a divisor of num_attention_heads " +
                                         std::to_string(config.num_heads));
  }
}

Result<RopeSpec> read_rope(const Fields& root, int32_t head_dim) {
  double theta = 10000.0;
  // transformers 4 spells rope_theta beside rope_scaling, 5 puts both into rope_parameters.
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const json& rope = root.raw(key);
    if (rope.is_null()) continue;
    const Fields fields = root.object(key);
    std::string type = fields.optional_string("rope_type").value_or("default");
    if (!fields.has("rope_type")) type = fields.optional_string("type").value_or("default");
    if (type != "default") {
      return unsupported(root.where(key), std::string(key) + ": rope_type " + quote(type) +
                                              " is not implemented, only \"default\" is");
    }
    const double factor = fields.optional_double("partial_rotary_factor").value_or(1.0);
    if (factor != 1.0) {
      return unsupported(root.where(key),
                         std::string(key) + ".partial_rotary_factor: only 1.0 is implemented");
    }
    theta = fields.optional_double("rope_theta").value_or(theta);
  }
  theta = root.optional_double("rope_theta").value_or(theta);
  RopeSpec rope;
  if (!(theta > 0)) {
    root.fail("rope_theta", "expected a positive number");
  } else if (head_dim % 2 != 0) {
    root.fail("head_dim", "got " + std::to_string(head_dim) +
                              ", expected an even number (rotary embedding works on pairs)");
  } else {
    rope.inverse_frequencies = rope_table(theta, head_dim);
  }
  return rope;
}

}  // namespace touchstone::model
