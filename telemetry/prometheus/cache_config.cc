#include "telemetry/prometheus/cache_config.h"

#include <optional>
#include <string>

#include "telemetry/prometheus/registry.h"

namespace touchstone::telemetry {
namespace {

std::string python_bool(bool value) { return value ? "True" : "False"; }
std::string python_int(const std::optional<int64_t>& value) {
  return value ? std::to_string(*value) : "None";
}

}  // namespace

Labels cache_config_labels(const VllmMetricsConfig& config) {
  const CacheConfigInfo& cache = config.cache;
  const int64_t tokens = cache.num_gpu_blocks * cache.block_size;
  const double concurrency =
      config.max_model_len == 0
          ? 0
          : static_cast<double>(tokens) / static_cast<double>(config.max_model_len);
  const std::string block_size = std::to_string(cache.block_size);
  return {{"_block_size_resolved", "True"},
          {"block_size", block_size},
          {"cache_dtype", cache.cache_dtype},
          {"cache_hit_alignment_tokens", "None"},
          {"effective_attention_block_size", block_size},
          {"enable_mamba_shared_prefix_checkpoint", "False"},
          {"enable_prefix_caching", python_bool(cache.enable_prefix_caching)},
          {"engine", config.engine},
          {"gpu_memory_utilization", format_prometheus_number(cache.gpu_memory_utilization)},
          {"hash_block_size", "None"},
          {"is_attention_free", "False"},
          {"kv_cache_dtype_skip_layers", "[]"},
          {"kv_cache_layout", "None"},
          {"kv_cache_max_concurrency", format_prometheus_number(concurrency)},
          {"kv_cache_memory_bytes", python_int(cache.kv_cache_memory_bytes)},
          {"kv_cache_size_tokens", std::to_string(tokens)},
          {"kv_offloading_backend", "native"},
          {"kv_offloading_size", "None"},
          {"kv_sharing_fast_prefill", "False"},
          {"mamba_block_size", "None"},
          {"mamba_cache_dtype", "auto"},
          {"mamba_cache_mode", "none"},
          {"mamba_page_size_padded", "None"},
          {"mamba_ssm_cache_dtype", "auto"},
          {"num_cpu_blocks", "None"},
          {"num_gpu_blocks", std::to_string(cache.num_gpu_blocks)},
          {"num_gpu_blocks_override", python_int(cache.num_gpu_blocks_override)},
          {"prefix_cache_retention_interval", "0"},
          {"prefix_caching_hash_algo", cache.prefix_caching_hash_algo},
          {"prefix_match_unit", "None"},
          {"replayssm_buffer_len", "16"},
          {"skip_page_size_padded", "None"},
          {"sliding_window", python_int(cache.sliding_window)},
          {"swa_bounded_replay", "True"},
          {"use_kda_recoverssm", "False"},
          {"use_replayssm", "False"},
          {"user_specified_block_size", python_bool(cache.user_specified_block_size)}};
}

}  // namespace touchstone::telemetry
