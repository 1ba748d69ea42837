// The http_* families of VllmMetrics, as prometheus-fastapi-instrumentator counts exchanges.
#include <algorithm>
#include <array>

#include "base/clock.h"
#include "telemetry/prometheus/vllm_metrics.h"

namespace touchstone::telemetry {
namespace {

constexpr std::array<std::string_view, 6> kUncountedHandlers = {
    "/metrics", "/health", "/load", "/ping", "/version", "/server_info"};

/// As RFC 9110 and RFC 5789 name them; anything else is the client's invention.
std::string known_method(const std::string& method) {
  for (const char* name :
       {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}) {
    if (method == name) return method;
  }
  return "other";
}

}  // namespace

void VllmMetrics::on_http(const http::HttpExchange& exchange, int64_t now_unix_ns) {
  if (std::find(kUncountedHandlers.begin(), kUncountedHandlers.end(), exchange.route) !=
      kUncountedHandlers.end()) {
    return;
  }
  const Labels handler = {{"handler", exchange.route.empty() ? "none" : exchange.route}};
  Labels method = handler;
  method["method"] = known_method(exchange.method);
  Labels status = method;
  status["status"] = std::to_string(exchange.status / 100) + "xx";

  const MutexLock lock(http_mutex_);
  const auto series = [&](PrometheusRegistry::FamilyId family,
                          const Labels& labels) REQUIRES(http_mutex_) {
    std::string key = std::to_string(family.index);
    for (const auto& [name, value] : labels) key += '\n' + value;
    const auto found = http_series_.find(key);
    if (found != http_series_.end()) return found->second;
    return http_series_.emplace(key, http_.add_series(family, labels, to_seconds(now_unix_ns)))
        .first->second;
  };
  http_.add(series(http_requests_, status), 1);
  http_.observe(series(http_request_size_, handler), static_cast<double>(exchange.request_bytes));
  http_.observe(series(http_response_size_, handler), static_cast<double>(exchange.response_bytes));
  http_.observe(http_duration_highr_, to_seconds(exchange.duration_ns));
  http_.observe(series(http_duration_, method), to_seconds(exchange.duration_ns));
}

}  // namespace touchstone::telemetry
