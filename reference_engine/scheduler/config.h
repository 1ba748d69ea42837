// The scheduler's configuration and the one table of its fields, from which validation, the step
// log's header, the flags of a run folder and those of the command line are derived.
// Values; pure; thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"

namespace touchstone::scheduler {

enum class Policy { kFcfs, kPriority };

struct Config {
  int64_t num_blocks = 0;   ///< block 0 included, so num_blocks - 1 can be handed out
  int32_t block_size = 16;  ///< tokens per block
  int32_t max_num_seqs = 128;
  int32_t max_num_batched_tokens = 2048;
  int32_t max_model_len = 2048;
  int32_t long_prefill_token_threshold = 0;  ///< 0: off
  bool enable_prefix_caching = true;
  bool enable_chunked_prefill = true;
  bool reserve_full_prompt = true;  ///< vLLM's --scheduler-reserve-full-isl
  int64_t watermark_blocks = 0;     ///< int(watermark * num_blocks)
  Policy policy = Policy::kFcfs;
  bool async_scheduling = false;  ///< schedule() may be called once while a plan is in flight
  int32_t max_loras = 1;          ///< distinct adapters that run at once
  int32_t sliding_window = 0;     ///< tokens that attention sees, its own included; 0: all
};

/// A field's value as logs and flags have it; a policy is its name, and no field is a double.
using FieldValue = std::variant<bool, int64_t, double, std::string>;
using FieldValues = std::map<std::string, FieldValue>;  ///< by ConfigField::name

struct ConfigField {
  std::string_view name;  ///< in step logs and messages
  /// In vLLM's spelling, as the flags of server.json have it; `--` and dashes make it the command
  /// line's. Empty: no flag sets it.
  std::string_view flag;
  std::string_view help;
  std::variant<int32_t Config::*, int64_t Config::*, bool Config::*, Policy Config::*> member;
  /// Of numbers, both allowed; what depends on other fields is validate()'s.
  int64_t least = 0;
  int64_t most = INT32_MAX;
  /// False: a log without it is older than the field, which then has its default.
  bool in_first_logs = true;
};

/// All fields, in the struct's order.
std::span<const ConfigField> config_fields();
/// Null when no field has this name.
const ConfigField* find_field(std::string_view name);
FieldValue get(const Config& config, const ConfigField& field);
/// ERRORS: kInvalidArgument `got X, expected Y`, to which the caller adds where: another type, a
/// number beyond the limits, an unknown policy.
Status set(Config& config, const ConfigField& field, const FieldValue& value);

FieldValues values_of(const Config& config);
/// Sets what `values` holds; names without a field are ignored, as a newer writer's.
/// ERRORS: those of set(), after the field's name.
Status set_values(const FieldValues& values, Config& config);

/// ERRORS: kInvalidArgument naming the field (zero blocks, budget below max_num_seqs, a pool that
/// cannot hold one request of max_model_len, chunked prefill off with budget < max_model_len, …).
Status validate(const Config& config);

}  // namespace touchstone::scheduler
