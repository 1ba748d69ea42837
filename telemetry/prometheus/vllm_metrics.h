// The `/metrics` page of vLLM 0.32.0 for a text engine: names, types, help, labels, buckets and
// order as recorded (fixtures/spans/vllm-0.32.0/metrics.txt); what is missing of it is listed in
// tests/telemetry/vllm_metrics_test.cc. Source of the meanings: vllm/v1/metrics/loggers.py.
//
// Thread-safe. The engine thread's calls hold a lock for a few additions; render() holds that lock
// only to copy the numbers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "http/http.h"
#include "records/request_record.h"
#include "records/step_stats.h"
#include "telemetry/prometheus/adapter_info.h"
#include "telemetry/prometheus/openmetrics.h"
#include "telemetry/prometheus/registry.h"

namespace touchstone::telemetry {

/// The labels of vllm:cache_config_info that this engine can set. The others show vLLM's defaults.
struct CacheConfigInfo {
  int64_t block_size = 16;
  bool user_specified_block_size = false;
  int64_t num_gpu_blocks = 0;
  std::optional<int64_t> num_gpu_blocks_override;
  bool enable_prefix_caching = true;
  std::string cache_dtype = "auto";
  std::string prefix_caching_hash_algo = "sha256";
  double gpu_memory_utilization = 0.92;
  std::optional<int64_t> kv_cache_memory_bytes;
  std::optional<int64_t> sliding_window;  ///< tokens; absent: every layer sees all
};

struct VllmMetricsConfig {
  std::string model_name;
  std::string engine = "0";
  int64_t max_model_len = 0;  ///< the last bucket of token histograms is at most this
  CacheConfigInfo cache;
  int64_t started_unix_ns = 0;            ///< of the `_created` series
  std::optional<int64_t> max_loras = {};  ///< absent: adapters are not served
  bool process_metrics = true;            ///< process_* of this process, which is the server
};

class VllmMetrics final {
 public:
  explicit VllmMetrics(const VllmMetricsConfig& config);
  VllmMetrics(const VllmMetrics&) = delete;
  VllmMetrics& operator=(const VllmMetrics&) = delete;

  void on_step(const records::StepStats& stats);
  /// Which adapters have requests now; counts only with VllmMetricsConfig::max_loras.
  void on_adapters(const std::vector<std::string>& names, int64_t now_unix_ns);
  /// As vLLM: a request that its client abandoned or that was refused counts nowhere.
  void on_finish(const records::RequestRecord& record);
  enum class Rejection { kQueuedRequests, kQueuedTokens };
  void on_rejection(Rejection reason);
  /// The handlers that vLLM leaves out (/metrics, /health, …) are left out here.
  /// Methods that HTTP does not define count as "other": a client cannot make labels.
  void on_http(const http::HttpExchange& exchange, int64_t now_unix_ns);

  /// The whole page.
  std::string render() const;
  /// Of the buckets of first-token and whole-request latencies: the latest sampled request in each
  /// whose trace its caller or the server chose.
  Exemplars exemplars() const;

 private:
  using Series = PrometheusRegistry::SeriesId;
  struct StepSeries {
    Series running, waiting, waiting_capacity, waiting_deferred, kv_cache_usage;
    Series prefix_cache_queries, prefix_cache_hits, cached_by_device, preemptions;
    Series prompt_tokens, prompt_computed, prompt_cached, prompt_tokens_cached, generation_tokens;
    Series iteration_tokens, time_to_first_token, inter_token_latency;
  };
  struct RequestSeries {
    std::map<records::Outcome, Series> success;
    Series prompt_tokens, generation_tokens, max_generation_tokens, params_n, params_max_tokens;
    Series time_per_output_token, e2e, queue, inference, prefill, decode;
    Series preemptions, prefill_computed_tokens;
  };
  /// The completions of one prompt, whose maximum is known when the last of them has finished.
  struct Siblings {
    int64_t remaining = 0;
    int64_t max_generation_tokens = 0;
  };
  class Builder;

  const bool process_metrics_;

  void observe_parent(const records::RequestRecord& record) REQUIRES(engine_mutex_);
  void keep_exemplar(Series histogram, double value, const records::RequestRecord& record)
      REQUIRES(engine_mutex_);

  mutable Mutex engine_mutex_;       // over engine_'s values
  PrometheusRegistry engine_;        // no family or series is added after construction
  PrometheusRegistry cache_config_;  // likewise
  StepSeries step_;
  RequestSeries request_;
  Series rejected_requests_, rejected_tokens_;
  std::map<std::string, Siblings> siblings_ GUARDED_BY(engine_mutex_);  // by request id
  Exemplars exemplars_ GUARDED_BY(engine_mutex_);
  std::optional<AdapterInfo> adapters_ GUARDED_BY(engine_mutex_);

  mutable Mutex http_mutex_;
  PrometheusRegistry http_ GUARDED_BY(http_mutex_);
  PrometheusRegistry::FamilyId http_requests_, http_request_size_, http_response_size_;
  PrometheusRegistry::FamilyId http_duration_;
  Series http_duration_highr_;
  std::map<std::string, Series> http_series_ GUARDED_BY(http_mutex_);  // by family and labels
};

/// process_* of this process, from /proc; empty where there is no /proc.
std::string render_process_metrics();

}  // namespace touchstone::telemetry
