#include "telemetry/prometheus/vllm_metrics.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/clock.h"
#include "telemetry/prometheus/cache_config.h"

namespace touchstone::telemetry {
namespace {

using Type = PrometheusRegistry::Type;

const std::vector<double> kRequestSeconds = {0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                                             30,  40,  50,  60, 120, 240, 480, 960, 1920, 7680};
const std::vector<double> kFirstTokenSeconds = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                                0.25,  0.5,   0.75, 1,    2.5,  5,    7.5,  10,
                                                20,    40,    80,   160,  640,  2560};
const std::vector<double> kPerTokenSeconds = {
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80};
const std::vector<double> kIterationTokens = {1,   8,    16,   32,   64,   128,  256,
                                              512, 1024, 2048, 4096, 8192, 16384};
const std::vector<double> kHttpSeconds = {0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5,
                                          0.75, 1,     1.5,  2,     2.5, 3,    3.5,
                                          4,    4.5,   5,    7.5,   10,  30,   60};

/// 1, 2, 5, 10, 20, 50, … up to `limit`.
std::vector<double> one_two_five(int64_t limit) {
  std::vector<double> bounds;
  for (int64_t scale = 1; scale <= limit; scale *= 10) {
    for (const int64_t digit : {1, 2, 5}) {
      if (digit * scale <= limit) bounds.push_back(static_cast<double>(digit * scale));
    }
    if (scale > limit / 10) break;
  }
  return bounds;
}

}  // namespace

/// Adds the families in the page's order.
class VllmMetrics::Builder final {
 public:
  Builder(VllmMetrics& metrics, const VllmMetricsConfig& config)
      : metrics_(metrics),
        registry_(metrics.engine_),
        config_(config),
        created_(to_seconds(config.started_unix_ns)),
        base_({{"engine", config.engine}, {"model_name", config.model_name}}),
        tokens_(one_two_five(config.max_model_len)) {}

  void build() {
    add_estimates_and_gauges();
    add_cache_counters();
    add_token_counters();
    add_outcomes();
    add_token_histograms();
    add_latency_histograms();
    PrometheusRegistry& info = metrics_.cache_config_;
    const auto family = info.add_family(
        {Type::kGauge, "vllm:cache_config_info", "Information of the LLMEngine CacheConfig"});
    info.set(info.add_series(family, cache_config_labels(config_), created_), 1);
  }

 private:
  Series add(PrometheusRegistry::FamilySpec spec, const Labels& labels) {
    return registry_.add_series(registry_.add_family(std::move(spec)), labels, created_);
  }
  Series counter(const char* name, const char* help) {
    return add({Type::kCounter, name, help}, base_);
  }
  Series gauge(const char* name, const char* help) {
    return add({Type::kGauge, name, help}, base_);
  }
  Series histogram(const char* name, const char* help, std::vector<double> bounds) {
    return add({Type::kHistogram, name, help, std::move(bounds)}, base_);
  }
  /// One series for each value of `label`, beside the base labels.
  std::vector<Series> labelled(Type type, const char* name, const char* help, const char* label,
                               const std::vector<const char*>& values) {
    const auto family = registry_.add_family({type, name, help});
    std::vector<Series> series;
    for (const char* value : values) {
      Labels labels = base_;
      labels[label] = value;
      series.push_back(registry_.add_series(family, labels, created_));
    }
    return series;
  }
  void set(Series series, double value) { registry_.set(series, value); }

  void add_estimates_and_gauges() {
    counter("vllm:estimated_flops_per_gpu",
            "Estimated number of floating point operations per GPU (for Model Flops Utilization "
            "calculations).");
    counter("vllm:estimated_read_bytes_per_gpu",
            "Estimated number of bytes read from memory per GPU (for Model Flops Utilization "
            "calculations).");
    counter("vllm:estimated_write_bytes_per_gpu",
            "Estimated number of bytes written to memory per GPU (for Model Flops Utilization "
            "calculations).");
    StepSeries& step = metrics_.step_;
    step.running =
        gauge("vllm:num_requests_running", "Number of requests in model execution batches.");
    step.waiting =
        gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.");
    const auto waiting = labelled(
        Type::kGauge, "vllm:num_requests_waiting_by_reason",
        "Number of waiting requests by reason. Reason labels: 'capacity' = waiting for scheduling "
        "capacity; 'deferred' = deferred by transient constraints (LoRA budget, KV transfer, "
        "blocked status). Sum of all reasons equals vllm:num_requests_waiting.",
        "reason", {"capacity", "deferred"});
    step.waiting_capacity = waiting[0];
    step.waiting_deferred = waiting[1];
    const auto sleep = labelled(
        Type::kGauge, "vllm:engine_sleep_state",
        "Engine sleep state; awake = 0 means engine is sleeping; awake = 1 means engine is awake; "
        "weights_offloaded = 1 means sleep level 1; discard_all = 1 means sleep level 2.",
        "sleep_state", {"awake", "weights_offloaded", "discard_all"});
    set(sleep[0], 1);
    step.kv_cache_usage =
        gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.");
  }

  void add_cache_counters() {
    StepSeries& step = metrics_.step_;
    step.prefix_cache_queries = counter(
        "vllm:prefix_cache_queries", "Prefix cache queries, in terms of number of queried tokens.");
    step.prefix_cache_hits = counter("vllm:prefix_cache_hits",
                                     "Prefix cache hits, in terms of number of cached tokens.");
    counter("vllm:external_prefix_cache_queries",
            "External prefix cache queries from KV connector cross-instance cache sharing, in "
            "terms of number of queried tokens.");
    counter("vllm:external_prefix_cache_hits",
            "External prefix cache hits from KV connector cross-instance cache sharing, in terms "
            "of number of cached tokens.");
    counter("vllm:mm_cache_queries",
            "Multi-modal cache queries, in terms of number of queried items.");
    counter("vllm:mm_cache_hits", "Multi-modal cache hits, in terms of number of cached items.");
    step.preemptions =
        counter("vllm:num_preemptions", "Cumulative number of preemption from the engine.");
  }

  void add_token_counters() {
    StepSeries& step = metrics_.step_;
    step.prompt_tokens = counter("vllm:prompt_tokens", "Number of prefill tokens processed.");
    const auto sources = labelled(Type::kCounter, "vllm:prompt_tokens_by_source",
                                  "Number of prompt tokens by source.", "source",
                                  {"local_compute", "local_cache_hit", "external_kv_transfer"});
    step.prompt_computed = sources[0];
    step.prompt_cached = sources[1];
    step.prompt_tokens_cached =
        counter("vllm:prompt_tokens_cached", "Number of cached prompt tokens (local + external).");
    step.cached_by_device = labelled(
        Type::kCounter, "vllm:prompt_tokens_cached_by_source",
        "Prefix-cache hit tokens by the cache tier that supplied them: device (local HBM), host "
        "(offloaded to DRAM), disk, p2p (transferred from another vLLM instance) or "
        "external_unspecified. Counted at admission; sums to vllm:prefix_cache_hits + "
        "vllm:external_prefix_cache_hits.",
        "source", {"device", "host", "p2p", "disk", "external_unspecified"})[0];
    step.generation_tokens =
        counter("vllm:generation_tokens", "Number of generation tokens processed.");
  }

  void add_outcomes() {
    const auto success = labelled(Type::kCounter, "vllm:request_success",
                                  "Count of successfully processed requests.", "finished_reason",
                                  {"stop", "length", "abort", "error", "repetition"});
    metrics_.request_.success = {{records::Outcome::kStop, success[0]},
                                 {records::Outcome::kLength, success[1]},
                                 {records::Outcome::kError, success[3]}};
    const auto rejections = registry_.add_family(
        {Type::kCounter, "vllm:admission_rejections",
         "Number of admission attempts rejected by a queue limit, by reason."});
    const auto rejected = [&](const char* reason) {
      return registry_.add_series(
          rejections, {{"model_name", config_.model_name}, {"reason", reason}}, created_);
    };
    metrics_.rejected_requests_ = rejected("max_num_queued_reqs");
    metrics_.rejected_tokens_ = rejected("max_num_queued_tokens");
  }

  void add_token_histograms() {
    RequestSeries& request = metrics_.request_;
    request.prompt_tokens =
        histogram("vllm:request_prompt_tokens", "Number of prefill tokens processed.", tokens_);
    request.generation_tokens = histogram("vllm:request_generation_tokens",
                                          "Number of generation tokens processed.", tokens_);
    metrics_.step_.iteration_tokens =
        histogram("vllm:iteration_tokens_total", "Histogram of number of tokens per engine_step.",
                  kIterationTokens);
    request.max_generation_tokens =
        histogram("vllm:request_max_num_generation_tokens",
                  "Histogram of maximum number of requested generation tokens.", tokens_);
    request.params_n = histogram("vllm:request_params_n", "Histogram of the n request parameter.",
                                 {1, 2, 5, 10, 20});
    request.params_max_tokens =
        histogram("vllm:request_params_max_tokens",
                  "Histogram of the max_tokens request parameter.", tokens_);
  }

  void add_latency_histograms() {
    StepSeries& step = metrics_.step_;
    RequestSeries& request = metrics_.request_;
    step.time_to_first_token =
        histogram("vllm:time_to_first_token_seconds",
                  "Histogram of time to first token in seconds.", kFirstTokenSeconds);
    step.inter_token_latency =
        histogram("vllm:inter_token_latency_seconds",
                  "Histogram of inter-token latency in seconds.", kPerTokenSeconds);
    request.time_per_output_token =
        histogram("vllm:request_time_per_output_token_seconds",
                  "Histogram of time_per_output_token_seconds per request.", kPerTokenSeconds);
    request.e2e = histogram("vllm:e2e_request_latency_seconds",
                            "Histogram of e2e request latency in seconds.", kRequestSeconds);
    request.queue =
        histogram("vllm:request_queue_time_seconds",
                  "Histogram of time spent in WAITING phase for request.", kRequestSeconds);
    request.inference =
        histogram("vllm:request_inference_time_seconds",
                  "Histogram of time spent in RUNNING phase for request.", kRequestSeconds);
    request.prefill =
        histogram("vllm:request_prefill_time_seconds",
                  "Histogram of time spent in PREFILL phase for request.", kRequestSeconds);
    request.decode =
        histogram("vllm:request_decode_time_seconds",
                  "Histogram of time spent in DECODE phase for request.", kRequestSeconds);
    request.preemptions = histogram("vllm:request_num_preemptions",
                                    "Histogram of the number of times a request was preempted.",
                                    {1, 2, 3, 4, 5, 10, 20});
    request.prefill_computed_tokens = histogram(
        "vllm:request_prefill_kv_computed_tokens",
        "Histogram of new KV tokens computed during prefill (excluding cached tokens).", tokens_);
  }

  VllmMetrics& metrics_;
  PrometheusRegistry& registry_;
  const VllmMetricsConfig& config_;
  const double created_;
  const Labels base_;
  const std::vector<double> tokens_;
};

VllmMetrics::VllmMetrics(const VllmMetricsConfig& config)
    : process_metrics_(config.process_metrics) {
  if (config.max_loras) {
    const MutexLock lock(engine_mutex_);
    adapters_.emplace(*config.max_loras);
  }
  Builder(*this, config).build();
  http_requests_ = http_.add_family(
      {Type::kCounter, "http_requests", "Total number of requests by method, status and handler."});
  http_request_size_ = http_.add_family(
      {Type::kSummary, "http_request_size_bytes",
       "Content length of incoming requests by handler. Only value of header is respected. "
       "Otherwise ignored. No percentile calculated. "});
  http_response_size_ = http_.add_family(
      {Type::kSummary, "http_response_size_bytes",
       "Content length of outgoing responses by handler. Only value of header is respected. "
       "Otherwise ignored. No percentile calculated. "});
  const auto highr = http_.add_family(
      {Type::kHistogram, "http_request_duration_highr_seconds",
       "Latency with many buckets but no API specific labels. Made for more accurate percentile "
       "calculations. ",
       kHttpSeconds});
  http_duration_highr_ = http_.add_series(highr, {}, to_seconds(config.started_unix_ns));
  http_duration_ = http_.add_family(
      {Type::kHistogram,
       "http_request_duration_seconds",
       "Latency with only few buckets by handler. Made to be only used if aggregation by handler "
       "is important. ",
       {0.1, 0.5, 1}});
}

void VllmMetrics::on_step(const records::StepStats& stats) {
  const auto count = [](int64_t value) { return static_cast<double>(value); };
  const MutexLock lock(engine_mutex_);
  engine_.set(step_.running, count(stats.running));
  engine_.set(step_.waiting, count(stats.waiting));
  engine_.set(step_.waiting_capacity, count(stats.waiting - stats.waiting_deferred));
  engine_.set(step_.waiting_deferred, count(stats.waiting_deferred));
  engine_.set(step_.kv_cache_usage, stats.kv_cache_usage);
  engine_.add(step_.prefix_cache_queries, count(stats.prefix_cache_queries));
  engine_.add(step_.prefix_cache_hits, count(stats.prefix_cache_hits));
  engine_.add(step_.cached_by_device, count(stats.prefix_cache_hits));
  engine_.add(step_.preemptions, count(stats.preemptions));
  engine_.add(step_.prompt_tokens,
              count(stats.prompt_tokens_computed + stats.prompt_tokens_cached));
  engine_.add(step_.prompt_computed, count(stats.prompt_tokens_computed));
  engine_.add(step_.prompt_cached, count(stats.prompt_tokens_cached));
  engine_.add(step_.prompt_tokens_cached, count(stats.prompt_tokens_cached));
  engine_.add(step_.generation_tokens, count(stats.generation_tokens));
  engine_.observe(step_.iteration_tokens,
                  count(stats.prompt_tokens_computed + stats.generation_tokens));
  for (const int64_t ns : stats.time_to_first_token_ns) {
    engine_.observe(step_.time_to_first_token, to_seconds(ns));
  }
  for (const int64_t ns : stats.inter_token_latency_ns) {
    engine_.observe(step_.inter_token_latency, to_seconds(ns));
  }
}

void VllmMetrics::on_adapters(const std::vector<std::string>& names, int64_t now_unix_ns) {
  const MutexLock lock(engine_mutex_);
  if (adapters_) adapters_->on_step(names, now_unix_ns);
}

void VllmMetrics::on_finish(const records::RequestRecord& record) {
  const MutexLock lock(engine_mutex_);
  const auto success = request_.success.find(record.outcome);
  if (success == request_.success.end()) {
    siblings_.erase(record.request_id);
    return;
  }
  const auto tokens = static_cast<double>(record.completion_tokens);
  const double decode = records::seconds_between(record.first_token_ns, record.last_token_ns);
  engine_.add(success->second, 1);
  engine_.observe(request_.prompt_tokens, static_cast<double>(record.prompt_tokens));
  engine_.observe(request_.generation_tokens, tokens);
  if (record.max_tokens) {
    engine_.observe(request_.params_max_tokens, static_cast<double>(*record.max_tokens));
  }
  engine_.observe(request_.time_per_output_token,
                  record.completion_tokens > 1 ? decode / (tokens - 1) : 0);
  engine_.observe(request_.e2e, to_seconds(record.finished_ns - record.arrival_ns));
  engine_.observe(request_.queue,
                  records::seconds_between(record.queued_ns, record.first_scheduled_ns));
  engine_.observe(request_.inference,
                  records::seconds_between(record.first_scheduled_ns, record.last_token_ns));
  engine_.observe(request_.prefill,
                  records::seconds_between(record.first_scheduled_ns, record.first_token_ns));
  engine_.observe(request_.decode, decode);
  engine_.observe(request_.preemptions, static_cast<double>(record.preemptions));
  engine_.observe(request_.prefill_computed_tokens,
                  static_cast<double>(record.prompt_tokens - record.cached_tokens));
  observe_parent(record);
  keep_exemplar(request_.e2e, to_seconds(record.finished_ns - record.arrival_ns), record);
  if (record.first_token_ns) {
    keep_exemplar(step_.time_to_first_token, to_seconds(*record.first_token_ns - record.arrival_ns),
                  record);
  }
}

void VllmMetrics::keep_exemplar(Series histogram, double value,
                                const records::RequestRecord& record) {
  Exemplar exemplar{.trace_id = {},
                    .value = value,
                    .unix_ns = record.arrival_unix_ns + record.finished_ns - record.arrival_ns};
  if (record.trace && record.trace->sampled()) {
    exemplar.trace_id = record.trace->trace_id;
  } else if (!record.trace && record.own_trace_id) {
    exemplar.trace_id = *record.own_trace_id;
  } else {
    return;
  }
  const std::string_view bucket = engine_.bucket_name(histogram, value);
  const auto known = exemplars_.find(bucket);
  if (known != exemplars_.end()) {
    known->second = exemplar;
  } else {
    exemplars_.emplace(bucket, exemplar);
  }
}

Exemplars VllmMetrics::exemplars() const {
  const MutexLock lock(engine_mutex_);
  return exemplars_;
}

void VllmMetrics::observe_parent(const records::RequestRecord& record) {
  int64_t tokens_max = record.completion_tokens;
  if (record.n > 1) {
    const auto [place, inserted] = siblings_.try_emplace(record.request_id);
    Siblings& siblings = place->second;
    if (inserted) siblings.remaining = record.n;
    siblings.max_generation_tokens = std::max(siblings.max_generation_tokens, tokens_max);
    if (--siblings.remaining > 0) return;
    tokens_max = siblings.max_generation_tokens;
    siblings_.erase(place);
  }
  engine_.observe(request_.max_generation_tokens, static_cast<double>(tokens_max));
  engine_.observe(request_.params_n, static_cast<double>(record.n));
}

void VllmMetrics::on_rejection(Rejection reason) {
  const MutexLock lock(engine_mutex_);
  engine_.add(reason == Rejection::kQueuedRequests ? rejected_requests_ : rejected_tokens_, 1);
}

std::string VllmMetrics::render() const {
  std::string page = process_metrics_ ? render_process_metrics() : "";
  std::vector<double> values;
  std::optional<AdapterInfo> adapters;
  {
    const MutexLock lock(engine_mutex_);
    values = engine_.values();
    adapters = adapters_;
  }
  engine_.render(values, page);
  if (adapters) adapters->render(page);
  cache_config_.render(cache_config_.values(), page);
  const MutexLock lock(http_mutex_);
  http_.render(http_.values(), page);
  return page;
}

}  // namespace touchstone::telemetry
