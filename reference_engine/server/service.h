// The routes of the server and what each does: from an http::HttpRequest to a http::Reply.
// Keys and routes are checked when the header is there; what parses, renders or tokenizes runs on
// the workers, the rest on the I/O threads; only generation goes on to the engine. Thread-safe.
// Source: vLLM 0.32.0, recorded exchanges.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "base/random.h"
#include "http/http.h"
#include "reference_engine/engine/engine.h"
#include "reference_engine/server/api/context.h"
#include "reference_engine/server/api/generation_request.h"
#include "reference_engine/server/cors.h"
#include "reference_engine/server/rate_limits.h"
#include "reference_engine/server/response_store.h"
#include "reference_engine/server/server_log.h"
#include "reference_engine/server/structured_output.h"
#include "reference_engine/server/submission_of.h"
#include "reference_engine/server/tenant.h"
#include "telemetry/cost/price_table.h"

namespace touchstone::server {

class ServedAdapters;

struct ServiceOptions {
  std::string version;                ///< of GET /version
  std::vector<std::string> api_keys;  ///< empty: none is asked for
  bool enable_request_id_headers = false;
  bool enable_server_load_tracking = false;
  TenantSources tenants;
  ApiKeyTable tenant_keys;            ///< its keys are let in besides api_keys
  int64_t content_bytes_max = 0;      ///< 0: no content is captured
  RateLimits* rate_limits = nullptr;  ///< null: none; outlives this
  bool http_spans = false;            ///< records get a span of the server's own
  /// Answers say what they cost, and /health has a body.
  bool usage_extensions = false;
  ResponseStore* responses = nullptr;             ///< null: none is kept; outlives this
  const telemetry::PriceTable* prices = nullptr;  ///< null: nothing has a price; outlives this
  /// From the process environment: adopts every request without a traceparent, as in vLLM.
  std::optional<records::TraceContext> process_trace;
  int32_t block_size = 16;
  CorsOptions cors;
  bool disable_any_whitespace = false;  ///< structured JSON has no optional white space
  std::string root_path;                ///< taken from the front of paths
  std::string tokenizer_info;           ///< JSON of GET /tokenizer_info; empty: it is not there
  bool serve_openapi = true;            ///< GET /openapi.json is there
  bool dev_mode = false;                ///< what only developers should reach is served, too
  std::string server_info;              ///< JSON of GET /server_info. REQUIRES for that: dev_mode
  ServedAdapters* adapters = nullptr;   ///< null: they stay as they are; outlives this
  uint64_t seed = 0;                    ///< of the ids that it makes
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
  /// `accept`: of the request; OpenMetrics where it asks for that.
  virtual MetricsText metrics(std::string_view accept) const = 0;
  /// A request was turned away because too many, or too many tokens, wait.
  virtual void on_rejection(engine::Engine::Admission why) = 0;
  /// A generation request that the engine will never see was refused.
  virtual void on_refused(const records::RequestRecord& record) = 0;
};

struct GenerationStart;

/// What GET /docs of vLLM would list: method and path of every route, and the setting that it
/// needs.
struct ServedRoute {
  std::string_view method;
  std::string_view path;
  const char* needs;  ///< a flag or variable; "": it is always there
};
std::vector<ServedRoute> served_routes();

class Service final : public http::HttpHandler {
 public:
  /// All references outlive the service and its pending replies.
  Service(const ServiceOptions& options, const Clock& clock, const api::ApiContext& context,
          engine::Engine& engine, ServiceTelemetry& telemetry, ServerLog& log);

  http::Admission admit(const http::HttpRequest& head) override;
  http::Reply handle(http::HttpRequest& request) override;
  /// From now on /health says 503 and generation is refused.
  void drain() { draining_.store(true); }

 private:
  friend std::vector<ServedRoute> served_routes();
  struct Route;
  static const std::vector<Route>& routes();
  const Route* find_route(const http::HttpRequest& request) const;
  std::string_view path_of(const http::HttpRequest& request) const;
  bool serves(const Route& route) const;
  std::optional<http::Reply> refusal(const http::HttpRequest& head) const;
  http::Reply completions(http::HttpRequest& request);
  http::Reply chat_completions(http::HttpRequest& request);
  http::Reply responses(http::HttpRequest& request);
  http::Reply retrieve_response(http::HttpRequest& request);
  http::Reply cancel_response(http::HttpRequest& request);
  http::Reply tokenize(http::HttpRequest& request);
  http::Reply detokenize(http::HttpRequest& request);
  http::Reply models(http::HttpRequest& request);
  http::Reply health(http::HttpRequest& request);
  http::Reply version(http::HttpRequest& request);
  http::Reply load(http::HttpRequest& request);
  http::Reply metrics(http::HttpRequest& request);
  http::Reply invocations(http::HttpRequest& request);
  http::Reply tokenizer_info(http::HttpRequest& request);
  http::Reply server_info(http::HttpRequest& request);
  http::Reply load_adapter(http::HttpRequest& request);
  http::Reply unload_adapter(http::HttpRequest& request);
  http::Reply reset_prefix_cache(http::HttpRequest& request);
  http::Reply reset_nothing(http::HttpRequest& request);
  http::Reply openapi(http::HttpRequest& request);
  using ParseGeneration = api::ParsedGeneration (*)(std::string_view body,
                                                    const api::RequestHeaders& headers,
                                                    const api::ApiContext& context);
  http::Reply generate(http::HttpRequest& request, ParseGeneration parse);
  /// Has the answer kept where that is wanted.
  void keep_response(GenerationStart& start);
  http::Reply in_background(http::HttpRequest& request, const api::GenerationRequest& generation,
                            BackgroundResponse response, http::Reply started);
  std::optional<api::ApiError> start_grammar(const api::GenerationRequest& request,
                                             ArrivedRequest& arrived);
  /// The answer to a refused generation request, which goes on the record.
  http::Reply refuse(const http::HttpRequest& request, const api::ApiError& error);
  void record_refusal(const http::HttpRequest& request, const api::ApiError& error);
  /// The record of a refused request as far as anybody knows it.
  records::RequestRecord refusal_record(const http::HttpRequest& request,
                                        const api::ApiError& error);
  /// 429 when its tenant may not ask for it now.
  std::optional<http::Reply> limited(const http::HttpRequest& request,
                                     const api::GenerationRequest& generation,
                                     const std::string& tenant);
  std::optional<records::TraceContext> trace_of(const http::HttpRequest& request) const;
  /// The server's own span between the caller's and those of `subject`, a record or what becomes
  /// one. Does nothing unless such spans are wanted.
  template <typename Subject>
  void add_http_span(Subject& subject);
  /// Has the answer say what the request used and cost, and in which trace it is.
  void add_extension(GenerationStart& start);
  void tell_of_unknown(const std::vector<std::string>& fields);
  std::optional<api::ApiError> take_memory(http::HttpRequest& request, int64_t bytes) const;
  bool authorized(const http::HttpRequest& request) const;
  http::HttpHeaders common_headers(const http::HttpRequest& request);
  http::Reply reply(int status, std::string_view content_type, std::string body) const;
  http::Reply error_reply(const api::ApiError& error) const;
  std::string random_hex(size_t digits);
  template <typename Id>
  Id random_id() {
    Id id;
    from_hex(random_hex(2 * id.bytes.size()), id.bytes.data(), id.bytes.size());
    return id;
  }
  std::string response_id(const api::GenerationRequest& request);

  const ServiceOptions options_;
  const Clock& clock_;
  const api::ApiContext& context_;
  engine::Engine& engine_;
  ServiceTelemetry& telemetry_;
  ServerLog& log_;
  StructuredOutput structured_output_;
  std::atomic<bool> draining_{false};
  Mutex ids_mutex_;
  RandomStream ids_ GUARDED_BY(ids_mutex_);
  std::atomic<int64_t> in_flight_{0};
};

}  // namespace touchstone::server
