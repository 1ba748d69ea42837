#include "reference_engine/model/config_fields.h"

#include <algorithm>
#include <limits>

#include "base/text.h"

namespace touchstone::model {

using nlohmann::json;

Error unsupported(const std::string& where, const std::string& what, const std::string& hint) {
  return {ErrorCode::kUnsupported, where + ": " + what, hint};
}

bool is_null(const Fields& root, const std::string& key) {
  const std::vector<std::string> keys = root.keys();
  return root.raw(key).is_null() && std::find(keys.begin(), keys.end(), key) != keys.end();
}

int32_t read_count(const Fields& root, const std::string& key, int64_t fallback) {
  if (fallback == 0) (void)root.required_int(key);
  if (root.raw(key).is_null()) return static_cast<int32_t>(fallback);
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

void read_heads(const Fields& root, Config& config, std::optional<int32_t> default_head_dim) {
  config.num_heads = read_count(root, "num_attention_heads");
  config.num_kv_heads =
      read_count(root, "num_key_value_heads", config.num_heads > 0 ? config.num_heads : 1);
  if (!root.raw("head_dim").is_null()) {
    config.head_dim = read_count(root, "head_dim");
  } else if (default_head_dim) {
    config.head_dim = *default_head_dim;
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

}  // namespace touchstone::model
