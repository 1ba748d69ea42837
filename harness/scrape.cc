#include "harness/scrape.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "http/client.h"
#include "http/url.h"

namespace touchstone::harness {
namespace {

constexpr int64_t kTimeoutNs = 10 * kNsPerSecond;

/// Sum over the family's samples, under the name with or without `_total`.
double total(const telemetry::MetricsPage& page, const std::string& name,
             const telemetry::Labels& labels = {}) {
  if (const auto sum = page.sum(name + "_total", labels)) return *sum;
  return page.sum(name, labels).value_or(0);
}

const telemetry::MetricFamily* family(const telemetry::MetricsPage& page, const std::string& name) {
  const auto* found = page.family(name);
  return found != nullptr ? found : page.family(name + "_total");
}

}  // namespace

Result<std::string> server_base(const std::string& url) {
  auto parsed = http::parse_url(url);
  if (!parsed) return std::move(parsed).error();
  if (parsed->path.ends_with("/v1")) parsed->path.resize(parsed->path.size() - 3);
  return parsed->text();
}

Result<ServedModel> served_model(const std::string& server_base, const http::Access& access,
                                 const std::string& id) {
  const std::string url = server_base + "/v1/models";
  const auto body = http::http_get_body(url, kTimeoutNs, access);
  if (!body) return body.error();
  const auto answer = nlohmann::json::parse(*body, nullptr, false);
  const nlohmann::json::json_pointer list("/data");
  if (answer.is_object() && answer.contains(list)) {
    for (const nlohmann::json& model : answer.at(list)) {
      if (!model.is_object() || !model.contains("id") || !model["id"].is_string()) continue;
      ServedModel served{.id = model["id"].get<std::string>(), .max_model_len = {}};
      if (!id.empty() && served.id != id) continue;
      const auto length = model.find("max_model_len");
      if (length != model.end() && length->is_number_integer()) {
        served.max_model_len = length->get<int64_t>();
      }
      return served;
    }
  }
  const std::string wanted = id.empty() ? "any" : quote(id);
  return unavailable(url + ": got no list of models with " + wanted, "name the model");
}

std::string ask_version(const std::string& server_base, const http::Access& access) {
  const auto body = http::http_get_body(server_base + "/version", kTimeoutNs, access);
  if (!body) return {};
  const auto answer = nlohmann::json::parse(*body, nullptr, false);
  if (!answer.is_object() || !answer.contains("version") || !answer["version"].is_string()) {
    return {};
  }
  return answer["version"].get<std::string>();
}

Result<telemetry::MetricsPage> scrape_to_file(const std::string& url, const std::string& path,
                                              const http::Access& access) {
  const auto body = http::http_get_body(url, kTimeoutNs, access);
  if (!body) return body.error();
  RETURN_IF_ERROR(write_file_atomic(path, *body));
  return telemetry::parse_prometheus_text(url, *body);
}

std::optional<int64_t> requests_in_flight(const telemetry::MetricsPage& page) {
  const auto running = page.sum("vllm:num_requests_running");
  const auto waiting = page.sum("vllm:num_requests_waiting");
  if (!running && !waiting) return std::nullopt;
  return static_cast<int64_t>(running.value_or(0) + waiting.value_or(0));
}

records::Settings cache_settings(const telemetry::MetricsPage& page) {
  records::Settings settings;
  const telemetry::MetricFamily* info = page.family("vllm:cache_config_info");
  if (info == nullptr || info->samples.empty()) return settings;
  const telemetry::Labels& labels = info->samples.front().labels;
  const auto number = [&](const char* label, const char* flag) {
    const auto found = labels.find(label);
    const auto value = found == labels.end() ? std::nullopt : parse_int(found->second);
    if (value) settings[flag] = *value;
  };
  number("num_gpu_blocks", "num_gpu_blocks_override");
  number("block_size", "block_size");
  const auto caching = labels.find("enable_prefix_caching");
  if (caching != labels.end()) settings["enable_prefix_caching"] = caching->second == "True";
  return settings;
}

CollectorSpans collector_spans(const telemetry::MetricsPage& page) {
  CollectorSpans spans;
  spans.accepted = total(page, "otelcol_receiver_accepted_spans");
  spans.refused = total(page, "otelcol_receiver_refused_spans");
  const telemetry::Labels traces = {{"otel_signal", "traces"}};
  spans.filtered = total(page, "otelcol_processor_incoming_items", traces) -
                   total(page, "otelcol_processor_outgoing_items", traces);
  std::map<std::string, double> left;
  for (const char* name : {"otelcol_exporter_sent_spans", "otelcol_exporter_send_failed_spans"}) {
    const telemetry::MetricFamily* found = family(page, name);
    if (found == nullptr) continue;
    for (const telemetry::Sample& sample : found->samples) {
      const auto exporter = sample.labels.find("exporter");
      left[exporter == sample.labels.end() ? "" : exporter->second] += sample.value;
    }
  }
  for (const auto& [exporter, count] : left) {
    spans.left = std::min(spans.left.value_or(count), count);
  }
  return spans;
}

}  // namespace touchstone::harness
