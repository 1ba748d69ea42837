#include "telemetry/prometheus/vllm_metrics.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "telemetry/prometheus/text.h"
#include "tests/support/paths.h"

namespace touchstone::telemetry {
namespace {

constexpr int64_t kStart = 1'795'253'978 * kNsPerSecond;

/// What the recorded page has and ours has not, and why.
const std::set<std::string> kKnownDifferences = {
    "python_gc_objects_collected_total",      // no Python
    "python_gc_objects_uncollectable_total",  // no Python
    "python_gc_collections_total",            // no Python
    "python_info",                            // no Python
};

/// The settings of the recording.
VllmMetricsConfig recorded_config() {
  VllmMetricsConfig config;
  config.model_name = "tiny";
  config.max_model_len = 512;
  config.max_loras = 1;
  config.started_unix_ns = kStart;
  config.cache.block_size = 32;
  config.cache.user_specified_block_size = true;
  config.cache.num_gpu_blocks = 28;
  config.cache.num_gpu_blocks_override = 28;
  config.cache.kv_cache_memory_bytes = 1073741824;
  return config;
}

http::HttpExchange exchange(std::string route, std::string method, int status,
                            int64_t request_bytes = 0, int64_t response_bytes = 0,
                            int64_t duration_ns = 0) {
  return {.client = {},
          .route = std::move(route),
          .method = std::move(method),
          .target = {},
          .status = status,
          .request_bytes = request_bytes,
          .response_bytes = response_bytes,
          .duration_ns = duration_ns};
}

/// One exchange of each kind in the recording, in its order.
void make_recorded_exchanges(VllmMetrics& metrics) {
  const http::HttpExchange exchanges[] = {exchange("/v1/models", "GET", 200, 0, 1290),
                                          exchange("/v1/completions", "POST", 200, 10),
                                          exchange("/v1/completions", "POST", 404),
                                          exchange("/v1/chat/completions", "POST", 200),
                                          exchange("/v1/chat/completions", "POST", 400),
                                          exchange("/tokenize", "POST", 200),
                                          exchange("/detokenize", "POST", 200),
                                          exchange("", "POST", 404),
                                          exchange("", "GET", 405),
                                          exchange("", "DELETE", 405)};
  for (const http::HttpExchange& one : exchanges) metrics.on_http(one, kStart);
}

MetricsPage parsed(const VllmMetrics& metrics) {
  Result<MetricsPage> page = parse_prometheus_text("page", metrics.render());
  BASE_CHECK(page.has_value(), page.error().message);
  return *std::move(page);
}

/// Every line without its value, by family, in the page's order.
std::vector<std::pair<std::string, std::string>> shape(const std::string& page) {
  std::vector<std::pair<std::string, std::string>> families;
  for (const std::string& line : split(page, '\n')) {
    if (line.starts_with("# HELP ")) families.push_back({split(line, ' ')[2], ""});
    if (families.empty()) continue;
    families.back().second +=
        (line.starts_with("#") ? line : line.substr(0, line.rfind(' '))) + "\n";
  }
  return families;
}

TEST(VllmMetrics, ThePageIsTheRecordedOneButForTheListedDifferences) {
  const auto text = read_file(support::source_dir() + "/fixtures/spans/vllm-0.32.0/metrics.txt");
  ASSERT_TRUE(text) << text.error().message;
  VllmMetrics metrics(recorded_config());
  make_recorded_exchanges(metrics);
  metrics.on_adapters({"tiny-lora"}, kStart);
  metrics.on_adapters({}, kStart + kNsPerSecond);
  auto recorded = shape(*text);
  const auto ours = shape(metrics.render());

  std::set<std::string> left_out;
  std::set<std::string> our_names;
  for (const auto& [name, lines] : ours) our_names.insert(name);
  std::erase_if(recorded, [&](const auto& family) {
    if (our_names.contains(family.first)) return false;
    left_out.insert(family.first);
    return true;
  });
  EXPECT_EQ(left_out, kKnownDifferences);
  ASSERT_EQ(ours.size(), recorded.size());
  for (size_t i = 0; i < ours.size(); ++i) EXPECT_EQ(ours[i].second, recorded[i].second);
}

TEST(VllmMetrics, AdaptersAreShownWithTheTimeAtWhichTheyWereSeenAndWithoutThemNothingIs) {
  VllmMetrics metrics(recorded_config());
  metrics.on_adapters({"b", "a"}, kStart);
  metrics.on_adapters({"b", "a"}, kStart + 2 * kNsPerSecond);
  EXPECT_EQ(parsed(metrics).value("vllm:lora_requests_info", {{"max_lora", "1"},
                                                              {"running_lora_adapters", "b,a"},
                                                              {"waiting_lora_adapters", "b,a"}}),
            to_seconds(kStart + 2 * kNsPerSecond));
  for (int i = 0; i < 5000; ++i) metrics.on_adapters({std::to_string(i)}, kStart + i);
  EXPECT_LE(parsed(metrics).family("vllm:lora_requests_info")->samples.size(), 1000u);
  VllmMetricsConfig config = recorded_config();
  config.max_loras.reset();
  VllmMetrics plain(config);
  plain.on_adapters({"a"}, kStart);
  EXPECT_EQ(parsed(plain).family("vllm:lora_requests_info"), nullptr);
}

TEST(VllmMetrics, AStepMovesTheEnginesSeries) {
  VllmMetrics metrics(recorded_config());
  records::StepStats stats;
  stats.running = 3;
  stats.waiting = 5;
  stats.waiting_deferred = 2;
  stats.kv_cache_usage = 0.25;
  stats.prefix_cache_queries = 100;
  stats.prefix_cache_hits = 32;
  stats.preemptions = 1;
  stats.prompt_tokens_computed = 68;
  stats.prompt_tokens_cached = 32;
  stats.generation_tokens = 3;
  stats.time_to_first_token_ns = {20 * kNsPerMs};
  stats.inter_token_latency_ns = {10 * kNsPerMs, 11 * kNsPerMs};
  metrics.on_step(stats);
  metrics.on_step(stats);
  const MetricsPage page = parsed(metrics);
  const auto value = [&](const char* name, const Labels& labels = {}) {
    return page.value(name, labels).value_or(-1);
  };
  EXPECT_EQ(value("vllm:num_requests_running"), 3);
  EXPECT_EQ(value("vllm:num_requests_waiting"), 5);
  EXPECT_EQ(value("vllm:num_requests_waiting_by_reason", {{"reason", "capacity"}}), 3);
  EXPECT_EQ(value("vllm:num_requests_waiting_by_reason", {{"reason", "deferred"}}), 2);
  EXPECT_EQ(value("vllm:kv_cache_usage_perc"), 0.25);
  EXPECT_EQ(value("vllm:prefix_cache_queries_total"), 200);
  EXPECT_EQ(value("vllm:prefix_cache_hits_total"), 64);
  EXPECT_EQ(value("vllm:prompt_tokens_cached_by_source_total", {{"source", "device"}}), 64);
  EXPECT_EQ(value("vllm:num_preemptions_total"), 2);
  EXPECT_EQ(value("vllm:prompt_tokens_total"), 200);
  EXPECT_EQ(value("vllm:prompt_tokens_by_source_total", {{"source", "local_compute"}}), 136);
  EXPECT_EQ(value("vllm:prompt_tokens_by_source_total", {{"source", "local_cache_hit"}}), 64);
  EXPECT_EQ(value("vllm:prompt_tokens_cached_total"), 64);
  EXPECT_EQ(value("vllm:generation_tokens_total"), 6);
  EXPECT_EQ(value("vllm:iteration_tokens_total_sum"), 142);
  EXPECT_EQ(value("vllm:iteration_tokens_total_bucket", {{"le", "128.0"}}), 2);
  EXPECT_EQ(value("vllm:iteration_tokens_total_bucket", {{"le", "64.0"}}), 0);
  EXPECT_EQ(value("vllm:time_to_first_token_seconds_bucket", {{"le", "0.02"}}), 2);
  EXPECT_EQ(value("vllm:inter_token_latency_seconds_bucket", {{"le", "0.01"}}), 2);
  EXPECT_EQ(value("vllm:inter_token_latency_seconds_count"), 4);
}

records::RequestRecord finished(int64_t n, int64_t tokens) {
  records::RequestRecord record;
  record.request_id = "cmpl-x-0";
  record.n = n;
  record.prompt_tokens = 40;
  record.cached_tokens = 32;
  record.completion_tokens = tokens;
  record.preemptions = 2;
  record.max_tokens = 100;
  record.outcome = records::Outcome::kLength;
  record.arrival_ns = 0;
  record.queued_ns = kNsPerSecond;
  record.first_scheduled_ns = 2 * kNsPerSecond;
  record.first_token_ns = 4 * kNsPerSecond;
  record.last_token_ns = 8 * kNsPerSecond;
  record.finished_ns = 9 * kNsPerSecond;
  return record;
}

TEST(VllmMetrics, AFinishedRequestIsCountedOnceAndItsSiblingsTogether) {
  VllmMetrics metrics(recorded_config());
  metrics.on_finish(finished(1, 5));
  metrics.on_finish(finished(2, 3));
  EXPECT_EQ(parsed(metrics).value("vllm:request_params_n_count"), 1) << "a sibling is running";
  metrics.on_finish(finished(2, 9));
  const MetricsPage page = parsed(metrics);
  const auto value = [&](const char* name) { return page.value(name).value_or(-1); };
  EXPECT_EQ(page.value("vllm:request_success_total", {{"finished_reason", "length"}}), 3);
  EXPECT_EQ(page.sum("vllm:request_success_total"), 3);
  EXPECT_EQ(value("vllm:request_params_n_count"), 2);
  EXPECT_EQ(value("vllm:request_params_n_sum"), 3);
  EXPECT_EQ(value("vllm:request_max_num_generation_tokens_sum"), 14);
  EXPECT_EQ(value("vllm:request_generation_tokens_sum"), 17);
  EXPECT_EQ(value("vllm:request_prompt_tokens_sum"), 120);
  EXPECT_EQ(value("vllm:request_prefill_kv_computed_tokens_sum"), 24);
  EXPECT_EQ(value("vllm:request_params_max_tokens_sum"), 300);
  EXPECT_EQ(value("vllm:request_num_preemptions_sum"), 6);
  EXPECT_EQ(value("vllm:e2e_request_latency_seconds_sum"), 27);
  EXPECT_EQ(value("vllm:request_queue_time_seconds_sum"), 3);
  EXPECT_EQ(value("vllm:request_prefill_time_seconds_sum"), 6);
  EXPECT_EQ(value("vllm:request_decode_time_seconds_sum"), 12);
  EXPECT_EQ(value("vllm:request_inference_time_seconds_sum"), 18);
  EXPECT_EQ(value("vllm:request_time_per_output_token_seconds_sum"), 4.0 / 4 + 4.0 / 2 + 4.0 / 8);
}

TEST(VllmMetrics, AnAbandonedOrRefusedRequestCountsNowhere) {
  VllmMetrics metrics(recorded_config());
  const MetricsPage before = parsed(metrics);
  for (const records::Outcome outcome : {records::Outcome::kAbort, records::Outcome::kRefused}) {
    records::RequestRecord record = finished(2, 5);
    metrics.on_finish(record);
    record.outcome = outcome;
    metrics.on_finish(record);
  }
  const MetricsPage page = parsed(metrics);
  EXPECT_EQ(page.sum("vllm:request_success_total"), 2);
  EXPECT_EQ(page.value("vllm:e2e_request_latency_seconds_count"), 2);
  EXPECT_EQ(page.value("vllm:request_params_n_count"), 0) << "no parent was completed";
}

TEST(VllmMetrics, HttpExchangesGroupByStatusClassAndLeaveOutProbes) {
  VllmMetrics metrics(recorded_config());
  metrics.on_http(exchange("/v1/completions", "POST", 200, 10, 20, kNsPerSecond / 2), kStart);
  metrics.on_http(exchange("/v1/completions", "POST", 201, 1, 2, kNsPerSecond), kStart);
  metrics.on_http(exchange("/v1/completions", "POST", 503), kStart);
  metrics.on_http(exchange("/metrics", "GET", 200), kStart);
  metrics.on_http(exchange("/health", "GET", 200), kStart);
  const MetricsPage page = parsed(metrics);
  EXPECT_EQ(page.value("http_requests_total", {{"status", "2xx"}}), 2);
  EXPECT_EQ(page.value("http_requests_total", {{"status", "5xx"}}), 1);
  EXPECT_EQ(page.sum("http_requests_total"), 3);
  EXPECT_EQ(page.value("http_request_size_bytes_sum"), 11);
  EXPECT_EQ(page.value("http_response_size_bytes_sum"), 22);
  EXPECT_EQ(page.value("http_request_duration_highr_seconds_bucket", {{"le", "0.5"}}), 2);
  EXPECT_EQ(page.value("http_request_duration_seconds_sum"), 1.5);
}

TEST(VllmMetrics, InventedMethodsShareOneSeries) {
  VllmMetrics metrics(recorded_config());
  for (int i = 0; i < 500; ++i) {
    metrics.on_http(exchange("", "METHOD" + std::to_string(i), 405), kStart);
  }
  const size_t size = metrics.render().size();
  for (int i = 500; i < 20'000; ++i) {
    metrics.on_http(exchange("", "METHOD" + std::to_string(i), 405), kStart);
  }
  EXPECT_LT(metrics.render().size(), size + 1000);  // figures get longer, lines do not get more
  EXPECT_EQ(parsed(metrics).value("http_requests_total", {{"method", "other"}}), 20'000);
}

TEST(VllmMetrics, ProcessFiguresAreOfThisProcess) {
  const auto page = parse_prometheus_text("page", render_process_metrics());
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_GT(page->value("process_resident_memory_bytes").value_or(0), 1e6);
  EXPECT_GE(page->value("process_virtual_memory_bytes").value_or(0),
            page->value("process_resident_memory_bytes").value_or(0));
  EXPECT_GT(page->value("process_start_time_seconds").value_or(0), 1.6e9);
  EXPECT_GE(page->value("process_open_fds").value_or(0), 3);
  EXPECT_EQ(page->families.size(), 6u);
}

TEST(VllmMetrics, CanBeReadWhileTheEngineWrites) {
  VllmMetrics metrics(recorded_config());
  constexpr int kSteps = 2000;
  std::thread engine([&] {
    for (int i = 0; i < kSteps; ++i) {
      records::StepStats stats;
      stats.generation_tokens = 1;
      metrics.on_step(stats);
      metrics.on_finish(finished(1, 1));
    }
  });
  std::thread http([&] {
    for (int i = 0; i < kSteps; ++i) {
      metrics.on_http(exchange("/h" + std::to_string(i % 7), "GET", 200), kStart);
    }
  });
  for (int i = 0; i < 50; ++i) {
    const MetricsPage page = parsed(metrics);
    EXPECT_EQ(page.value("vllm:generation_tokens_total"),
              page.value("vllm:iteration_tokens_total_count"));
  }
  engine.join();
  http.join();
  EXPECT_EQ(parsed(metrics).value("vllm:generation_tokens_total"), kSteps);
  EXPECT_EQ(parsed(metrics).sum("http_requests_total"), kSteps);
}

}  // namespace
}  // namespace touchstone::telemetry
