#include "cli/serve_environment.h"

#include <algorithm>
#include <vector>

#include "base/environment.h"
#include "base/text.h"

namespace touchstone::cli {
namespace {

constexpr KnownVariable kVariables[] = {
    {"VLLM_ALLOW_RUNTIME_LORA_UPDATING", "1: adapters may be loaded and unloaded by requests"},
    {"VLLM_API_KEY", "the key that clients must send, without --api-key"},
    {"VLLM_CPU_KVCACHE_SPACE", "GiB for keys and values, without --kv-cache-memory-bytes"},
    {"VLLM_ENABLE_RESPONSES_API_STORE",
     "1: responses are kept, to be retrieved, cancelled, made in the background and gone on from"},
    {"VLLM_MAX_COMPLETION_PROMPTS", "most prompts of one request (1024)"},
    {"VLLM_MAX_STOP_STRINGS", "most stop strings of one request (4)"},
    {"VLLM_SERVER_DEV_MODE",
     "1: /reset_prefix_cache, /reset_mm_cache, /reset_encoder_cache and /server_info are served"},
};

Status read_count(const Environment& environment, const char* name, int32_t& value) {
  const auto text = lookup(environment, name);
  if (!text) return {};
  const auto number = parse_int(*text);
  if (!number || *number < 1 || *number > INT32_MAX) {
    return invalid_argument(std::string(name) + ": got " + quote(*text) +
                            ", expected a positive number");
  }
  value = static_cast<int32_t>(*number);
  return {};
}

bool is_on(const Environment& environment, const char* name) {
  const std::string text = to_lower(lookup(environment, name).value_or("0"));
  return text == "1" || text == "true";
}

}  // namespace

std::span<const KnownVariable> known_variables() { return kVariables; }

Status apply_environment(bool strict, server::ServeOptions& options,
                         const std::function<void(const std::string&)>& say) {
  const Environment& environment = options.environment;
  for (const auto& [name, value] : environment) {
    if (!name.starts_with("VLLM_")) continue;
    const auto is_it = [&](const KnownVariable& row) { return name == row.name; };
    if (std::ranges::any_of(kVariables, is_it)) continue;
    if (strict) {
      return invalid_argument(name +
                              ": --fail-on-environ-validation: got a variable that has no "
                              "effect here");
    }
    say(name + ": this variable has no effect here");
  }
  if (const auto key = lookup(environment, "VLLM_API_KEY"); key && options.api_keys.empty()) {
    options.api_keys = {*key};
  }
  RETURN_IF_ERROR(
      read_count(environment, "VLLM_MAX_COMPLETION_PROMPTS", options.max_completion_prompts));
  RETURN_IF_ERROR(read_count(environment, "VLLM_MAX_STOP_STRINGS", options.max_stop_strings));
  options.adapters.runtime_updates = is_on(environment, "VLLM_ALLOW_RUNTIME_LORA_UPDATING");
  options.dev_mode = is_on(environment, "VLLM_SERVER_DEV_MODE");
  options.keep_responses = is_on(environment, "VLLM_ENABLE_RESPONSES_API_STORE");
  return {};
}

}  // namespace touchstone::cli
