// The routes of the server and what each does: from an http::HttpRequest to a http::Reply.
// Everything here runs on the I/O threads; only generation goes on to the engine. Thread-safe.
// Source: vLLM 0.32.0, recorded exchanges.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "http/http.h"
#include "reference_engine/engine/engine.h"
#include "reference_engine/server/api/context.h"

namespace touchstone::server {

struct ServiceOptions {
  std::string version;                ///< of GET /version
  std::vector<std::string> api_keys;  ///< empty: none is asked for
  bool enable_request_id_headers = false;
  bool enable_server_load_tracking = false;
  /// From the process environment: adopts every request without a traceparent, as in vLLM.
  std::optional<records::TraceContext> process_trace;
  int32_t block_size = 16;
  uint64_t seed = 0;  ///< of the ids that it makes
};

/// The text of GET /metrics and its media type.
struct MetricsText {
  std::string content_type;
  std::string body;
};

/// What the service needs of telemetry. Thread-safe.
class ServiceTelemetry {
 public:
  virtual ~ServiceTelemetry() = default;
  virtual MetricsText metrics() const = 0;
  /// A request was turned away because too many wait.
  virtual void on_rejection() = 0;
};

class Service final {
 public:
  /// All references outlive the service and its pending replies.
  Service(const ServiceOptions& options, const Clock& clock, const api::ApiContext& context,
          engine::Engine& engine, ServiceTelemetry& telemetry);

  http::Reply handle(const http::HttpRequest& request);
  /// From now on /health says 503 and generation is refused.
  void drain() { draining_.store(true); }

 private:
  struct Route;
  static const std::vector<Route>& routes();
  http::Reply dispatch(const http::HttpRequest& request);
  http::Reply completions(const http::HttpRequest& request);
  http::Reply chat_completions(const http::HttpRequest& request);
  http::Reply tokenize(const http::HttpRequest& request);
  http::Reply detokenize(const http::HttpRequest& request);
  http::Reply models(const http::HttpRequest& request);
  http::Reply health(const http::HttpRequest& request);
  http::Reply version(const http::HttpRequest& request);
  http::Reply load(const http::HttpRequest& request);
  http::Reply metrics(const http::HttpRequest& request);
  http::Reply generate(const http::HttpRequest& request, api::ParsedGeneration parsed);
  bool authorized(const http::HttpRequest& request) const;
  http::HttpHeaders common_headers(const http::HttpRequest& request);
  http::Reply reply(int status, std::string_view content_type, std::string body) const;
  std::string random_hex(size_t digits);

  const ServiceOptions options_;
  const Clock& clock_;
  const api::ApiContext& context_;
  engine::Engine& engine_;
  ServiceTelemetry& telemetry_;
  std::atomic<bool> draining_{false};
  std::mutex ids_mutex_;
  RandomStream ids_;
  std::atomic<int64_t> in_flight_{0};
};

}  // namespace touchstone::server
