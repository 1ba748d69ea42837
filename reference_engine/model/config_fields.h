// What architectures share when they read config.json. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/document.h"
#include "base/result.h"
#include "reference_engine/model/config.h"

namespace touchstone::model {

Error unsupported(const std::string& where, const std::string& what, const std::string& hint = {});

/// Whether the key is there with the value null.
bool is_null(const Fields& root, const std::string& key);

/// A positive count; `fallback` when it is null or absent, 0: the key must be there.
int32_t read_count(const Fields& root, const std::string& key, int64_t fallback = 0);

/// A key that would change the arithmetic.
struct KnownKey {
  const char* key;
  nlohmann::json implemented;  ///< the value that is implemented; null and absent always are
  /// A boolean key; where it is false, `key` has no effect and may say anything.
  const char* enabled_by = nullptr;
};
/// ERRORS: kUnsupported naming the first key with another value.
Status refuse_other_values(const Fields& root, const std::vector<KnownKey>& keys);

/// num_attention_heads, num_key_value_heads and head_dim. Without `default_head_dim`, a head_dim
/// that is not there is hidden_size / num_attention_heads, which must be whole.
void read_heads(const Fields& root, Config& config, std::optional<int32_t> default_head_dim = {});

}  // namespace touchstone::model
