#include "reference_engine/scheduler/config.h"

#include <array>
#include <optional>
#include <type_traits>
#include <utility>

#include "reference_engine/scheduler/policies.h"

namespace touchstone::scheduler {
namespace {

Error bad(const char* field, int64_t got, const std::string& expected, std::string hint = {}) {
  return invalid_argument(
      std::string(field) + ": got " + std::to_string(got) + ", expected " + expected,
      std::move(hint));
}

std::string text_of(const FieldValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* number = std::get_if<int64_t>(&value)) return std::to_string(*number);
  if (const auto* real = std::get_if<double>(&value)) return std::to_string(*real);
  return "\"" + std::get<std::string>(value) + "\"";
}

std::string policy_names() {
  std::string names;
  for (const PolicyRow& row : policies())
    names += std::string(names.empty() ? "" : " or ") + row.name;
  return names;
}

Error unlike(const FieldValue& got, const std::string& expected) {
  return invalid_argument("got " + text_of(got) + ", expected " + expected);
}

Status check_limits(const ConfigField& field, int64_t value) {
  if (value >= field.least && value <= field.most) return {};
  return unlike(value, std::to_string(field.least) + " to " + std::to_string(field.most));
}

constexpr std::array<ConfigField, 14> kFields = {{
    {.name = "num_blocks",
     .flag = "num_gpu_blocks_override",
     .help = "KV blocks, the null block included",
     .member = &Config::num_blocks,
     .least = 2},
    {.name = "block_size",
     .flag = "block_size",
     .help = "Tokens per KV block",
     .member = &Config::block_size,
     .least = 1,
     .most = 65536},
    {.name = "max_num_seqs",
     .flag = "max_num_seqs",
     .help = "Most requests that run at once",
     .member = &Config::max_num_seqs,
     .least = 1},
    {.name = "max_num_batched_tokens",
     .flag = "max_num_batched_tokens",
     .help = "Most tokens computed in one step",
     .member = &Config::max_num_batched_tokens,
     .least = 1},
    {.name = "max_model_len",
     .flag = "max_model_len",
     .help = "Most tokens of prompt and answer together",
     .member = &Config::max_model_len,
     .least = 2},
    {.name = "long_prefill_token_threshold",
     .flag = "long_prefill_token_threshold",
     .help = "Most tokens of one request per step; 0: no such limit",
     .member = &Config::long_prefill_token_threshold},
    {.name = "enable_prefix_caching",
     .flag = "enable_prefix_caching",
     .help = "Share the KV blocks of equal prefixes",
     .member = &Config::enable_prefix_caching},
    {.name = "enable_chunked_prefill",
     .flag = "enable_chunked_prefill",
     .help = "Split long prompts over several steps",
     .member = &Config::enable_chunked_prefill},
    {.name = "reserve_full_prompt",
     .flag = "scheduler_reserve_full_isl",
     .help = "Admit only what fits with its whole prompt",
     .member = &Config::reserve_full_prompt},
    {.name = "watermark_blocks",
     .flag = "",  // vLLM's --watermark is a fraction of the blocks
     .help = "Blocks that admission leaves free",
     .member = &Config::watermark_blocks},
    {.name = "policy",
     .flag = "scheduling_policy",
     .help = "Order of waiting requests",
     .member = &Config::policy},
    {.name = "async_scheduling",
     .flag = "async_scheduling",
     .help = "Schedule a step while the one before is computed; vLLM: on for GPUs, off on CPUs",
     .member = &Config::async_scheduling,
     .in_first_logs = false},
    {.name = "max_loras",
     .flag = "max_loras",
     .help = "Most distinct adapters that run at once",
     .member = &Config::max_loras,
     .least = 1,
     .in_first_logs = false},
    {.name = "sliding_window",
     .flag = "",  // the model's
     .help = "Tokens that attention sees; 0: all",
     .member = &Config::sliding_window,
     .in_first_logs = false},
}};

/// What fields ask of each other.
Status check_relations(const Config& config) {
  if (config.max_num_batched_tokens < config.max_num_seqs) {
    return bad("max_num_batched_tokens", config.max_num_batched_tokens,
               "at least max_num_seqs (" + std::to_string(config.max_num_seqs) + ")",
               "a step must have a token for each running request");
  }
  const std::string length = "max_model_len (" + std::to_string(config.max_model_len) + ")";
  if (!config.enable_chunked_prefill && config.max_num_batched_tokens < config.max_model_len) {
    return bad("max_num_batched_tokens", config.max_num_batched_tokens, "at least " + length,
               "without chunked prefill a prompt must fit into one step");
  }
  if (config.long_prefill_token_threshold > config.max_model_len) {
    return bad("long_prefill_token_threshold", config.long_prefill_token_threshold,
               "0 (off) to " + length);
  }
  if (config.watermark_blocks >= config.num_blocks) {
    return bad("watermark_blocks", config.watermark_blocks,
               "0 to num_blocks - 1 (" + std::to_string(config.num_blocks - 1) + ")");
  }
  const int64_t needed =
      (int64_t{config.max_model_len} + config.block_size - 1) / config.block_size;
  if (config.num_blocks - 1 < needed) {
    return bad(
        "num_blocks", config.num_blocks,
        "at least " + std::to_string(needed + 1) + " for one request of " + length + " tokens",
        "give more blocks or lower max_model_len");
  }
  return {};
}

}  // namespace

std::span<const ConfigField> config_fields() { return kFields; }

const ConfigField* find_field(std::string_view name) {
  for (const ConfigField& field : config_fields()) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

FieldValue get(const Config& config, const ConfigField& field) {
  return std::visit(
      [&config](auto member) -> FieldValue {
        using T = std::remove_cvref_t<decltype(config.*member)>;
        if constexpr (std::is_same_v<T, bool>) {
          return config.*member;
        } else if constexpr (std::is_same_v<T, Policy>) {
          return std::string(to_string(config.*member));
        } else {
          return int64_t{config.*member};
        }
      },
      field.member);
}

Status set(Config& config, const ConfigField& field, const FieldValue& value) {
  return std::visit(
      [&](auto member) -> Status {
        using T = std::remove_cvref_t<decltype(config.*member)>;
        if constexpr (std::is_same_v<T, bool>) {
          const bool* const flag = std::get_if<bool>(&value);
          if (flag == nullptr) return unlike(value, "true or false");
          config.*member = *flag;
        } else if constexpr (std::is_same_v<T, Policy>) {
          const auto* const name = std::get_if<std::string>(&value);
          const auto policy = name == nullptr ? std::nullopt : parse_policy(*name);
          if (!policy) return unlike(value, policy_names());
          config.*member = *policy;
        } else {
          const int64_t* const number = std::get_if<int64_t>(&value);
          if (number == nullptr) return unlike(value, "a number");
          RETURN_IF_ERROR(check_limits(field, *number));
          config.*member = static_cast<T>(*number);
        }
        return {};
      },
      field.member);
}

FieldValues values_of(const Config& config) {
  FieldValues values;
  for (const ConfigField& field : config_fields()) {
    values.emplace(field.name, get(config, field));
  }
  return values;
}

Status set_values(const FieldValues& values, Config& config) {
  for (const auto& [name, value] : values) {
    const ConfigField* const field = find_field(name);
    if (field == nullptr) continue;
    Status status = set(config, *field, value);
    if (!status) return std::move(status).error().with_context(name);
  }
  return {};
}

Status validate(const Config& config) {
  for (const ConfigField& field : config_fields()) {
    const FieldValue value = get(config, field);
    const int64_t* const number = std::get_if<int64_t>(&value);
    if (number == nullptr) continue;
    Status status = check_limits(field, *number);
    if (!status) return std::move(status).error().with_context(std::string(field.name));
  }
  return check_relations(config);
}

}  // namespace touchstone::scheduler
