// The routes of the server and what each does: from an HttpRequest to a Reply. Everything here runs
// on the I/O threads; only generation goes on to the engine. Thread-safe.
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
#include "reference_engine/server/api/context.h"
#include "reference_engine/server/engine.h"
#include "reference_engine/server/http.h"

namespace touchstone::server {

struct ServiceOptions {
  std::string version;                ///< of GET /version
  std::vector<std::string> api_keys;  ///< empty: none is asked for
  bool enable_request_id_headers = false;
  bool enable_server_load_tracking = false;
  /// From the process environment: adopts every request without a traceparent, as in vLLM.
  std::optional<telemetry::TraceContext> process_trace;
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
          Engine& engine, ServiceTelemetry& telemetry);

  Reply handle(const HttpRequest& request);
  /// From now on /health says 503 and generation is refused.
  void drain() { draining_.store(true); }

 private:
  struct Route;
  static const std::vector<Route>& routes();
  Reply dispatch(const HttpRequest& request);
  Reply completions(const HttpRequest& request);
  Reply chat_completions(const HttpRequest& request);
  Reply tokenize(const HttpRequest& request);
  Reply detokenize(const HttpRequest& request);
  Reply models(const HttpRequest& request);
  Reply health(const HttpRequest& request);
  Reply version(const HttpRequest& request);
  Reply load(const HttpRequest& request);
  Reply metrics(const HttpRequest& request);
  Reply generate(const HttpRequest& request, api::ParsedGeneration parsed);
  bool authorized(const HttpRequest& request) const;
  HttpHeaders common_headers(const HttpRequest& request);
  Reply reply(int status, std::string_view content_type, std::string body) const;
  std::string random_hex(size_t digits);

  const ServiceOptions options_;
  const Clock& clock_;
  const api::ApiContext& context_;
  Engine& engine_;
  ServiceTelemetry& telemetry_;
  std::atomic<bool> draining_{false};
  std::mutex ids_mutex_;
  RandomStream ids_;
  std::atomic<int64_t> in_flight_{0};
};

}  // namespace touchstone::server
