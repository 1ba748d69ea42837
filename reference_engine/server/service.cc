#include "reference_engine/server/service.h"

#include <array>
#include <memory>
#include <utility>

#include "base/ids.h"
#include "base/text.h"
#include "records/trace_context.h"
#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/generation_request.h"
#include "reference_engine/server/api/response.h"
#include "reference_engine/server/generation.h"

namespace touchstone::server {
namespace {

api::RequestHeaders request_headers(const http::HttpRequest& request) {
  return {.content_type = request.header("content-type").value_or(""),
          .x_request_id = request.header("x-request-id"),
          .x_vllm_priority = request.header("x-vllm-priority")};
}

bool is_preflight(const http::HttpRequest& request) {
  return request.method == "OPTIONS" && request.header("origin") &&
         request.header("access-control-request-method");
}

/// Every origin, method and header may: vLLM's defaults.
http::Reply preflight(const http::HttpRequest& request) {
  http::HttpResponse response{
      .status = 200, .content_type = "text/plain; charset=utf-8", .headers = {}, .body = "OK"};
  response.headers.emplace_back("access-control-allow-methods",
                                "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
  response.headers.emplace_back("access-control-max-age", "600");
  if (const auto wanted = request.header("access-control-request-headers")) {
    response.headers.emplace_back("access-control-allow-headers", *wanted);
  }
  return {.response = std::move(response), .pending = nullptr, .route = {}};
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

}  // namespace

struct Service::Route {
  std::string_view method;
  std::string_view path;
  http::Reply (Service::*handle)(const http::HttpRequest&);
};

const std::vector<Service::Route>& Service::routes() {
  static const std::vector<Route> kRoutes = {
      {"POST", "/v1/completions", &Service::completions},
      {"POST", "/v1/chat/completions", &Service::chat_completions},
      {"GET", "/v1/models", &Service::models},
      {"POST", "/tokenize", &Service::tokenize},
      {"POST", "/detokenize", &Service::detokenize},
      {"GET", "/health", &Service::health},
      {"GET", "/ping", &Service::health},
      {"POST", "/ping", &Service::health},
      {"GET", "/version", &Service::version},
      {"GET", "/load", &Service::load},
      {"GET", "/metrics", &Service::metrics},
  };
  return kRoutes;
}

// Ids must differ between runs with the same seed, since they name requests in what is stored
// about them: the time of the start goes in too.
Service::Service(const ServiceOptions& options, const Clock& clock, const api::ApiContext& context,
                 engine::Engine& engine, ServiceTelemetry& telemetry)
    : options_(options),
      clock_(clock),
      context_(context),
      engine_(engine),
      telemetry_(telemetry),
      ids_(options.seed ^ static_cast<uint64_t>(clock.unix_ns()), "response ids") {}

http::Reply Service::handle(const http::HttpRequest& request) {
  http::Reply answer = is_preflight(request) ? preflight(request)
                       : authorized(request)
                           ? dispatch(request)
                           : reply(401, api::kJsonContentType, api::unauthorized_body());
  if (!answer.pending) {
    for (auto& header : common_headers(request)) {
      answer.response.headers.push_back(std::move(header));
    }
  }
  return answer;
}

http::Reply Service::dispatch(const http::HttpRequest& request) {
  std::vector<std::string> allowed;
  for (const Route& route : routes()) {
    if (route.path != request.path) continue;
    if (route.method == request.method) {
      http::Reply answer = (this->*route.handle)(request);
      answer.route = route.path;
      return answer;
    }
    allowed.emplace_back(route.method);
  }
  const int status = allowed.empty() ? 404 : 405;
  http::Reply answer = reply(status, api::kJsonContentType, api::detail_body(status));
  if (!allowed.empty()) answer.response.headers.emplace_back("allow", join(allowed, ", "));
  return answer;
}

/// Keys are asked for under /v1 only; health, metrics and tokens are open, as in vLLM.
bool Service::authorized(const http::HttpRequest& request) const {
  if (options_.api_keys.empty() || request.method == "OPTIONS") return true;
  if (request.path != "/v1" && !request.path.starts_with("/v1/")) return true;
  const std::string given = request.header("authorization").value_or("");
  constexpr std::string_view kScheme = "bearer ";
  if (!starts_with_ignoring_case(given, kScheme)) return false;
  bool known = false;
  for (const std::string& key : options_.api_keys) {
    known |= equal_in_constant_time(std::string_view(given).substr(kScheme.size()), key);
  }
  return known;
}

http::HttpHeaders Service::common_headers(const http::HttpRequest& request) {
  http::HttpHeaders headers;
  if (request.header("origin")) headers.emplace_back("access-control-allow-origin", "*");
  headers.emplace_back("vary", "Origin");
  if (options_.enable_request_id_headers) {
    const auto given = request.header("x-request-id");
    headers.emplace_back("x-request-id", given ? *given : random_hex(32));
  }
  return headers;
}

std::string Service::random_hex(size_t digits) {
  std::string hex;
  const std::lock_guard lock(ids_mutex_);
  while (hex.size() < digits) {
    const uint64_t word = ids_.next();
    std::array<uint8_t, 8> bytes{};
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(word >> (8 * i));
    hex += to_hex(bytes.data(), bytes.size());
  }
  hex.resize(digits);
  return hex;
}

http::Reply Service::reply(int status, std::string_view content_type, std::string body) const {
  return {.response = {.status = status,
                       .content_type = std::string(content_type),
                       .headers = {},
                       .body = std::move(body)},
          .pending = nullptr,
          .route = {}};
}

http::Reply Service::completions(const http::HttpRequest& request) {
  return generate(request, api::parse_completion(request.body, request_headers(request), context_));
}

http::Reply Service::chat_completions(const http::HttpRequest& request) {
  return generate(request, api::parse_chat(request.body, request_headers(request), context_));
}

http::Reply Service::generate(const http::HttpRequest& request, api::ParsedGeneration parsed) {
  if (draining_.load()) {
    parsed = api::overloaded("The server is shutting down.");
  }
  if (const auto* error = std::get_if<api::ApiError>(&parsed)) {
    return reply(error->status, api::kJsonContentType, api::error_body(*error));
  }
  GenerationStart start;
  auto& generation = std::get<api::GenerationRequest>(parsed);
  start.response_id = std::string(api::response_id_prefix(generation.endpoint)) +
                      (generation.request_id_base ? *generation.request_id_base : random_hex(16));
  start.request = std::make_shared<const api::GenerationRequest>(std::move(generation));
  start.arrival_unix_ns = request.arrival_unix_ns;
  start.arrival_ns = request.arrival_ns;
  const auto traceparent = request.header("traceparent");
  start.trace = traceparent ? records::parse_trace_context(
                                  *traceparent, request.header("tracestate").value_or(""))
                            : options_.process_trace;
  start.headers = common_headers(request);
  if (options_.enable_server_load_tracking) {
    start.in_flight = std::make_unique<InFlight>(in_flight_);
  }
  http::Reply answer = start_generation(std::move(start), engine_, context_, options_.block_size);
  if (answer.response.status == 503) telemetry_.on_rejection();
  return answer;
}

http::Reply Service::tokenize(const http::HttpRequest& request) {
  const auto parsed = api::parse_tokenize(request.body, request_headers(request), context_);
  if (const auto* error = std::get_if<api::ApiError>(&parsed)) {
    return reply(error->status, api::kJsonContentType, api::error_body(*error));
  }
  return reply(200, api::kJsonContentType,
               api::tokenize_response(std::get<api::TokenizeRequest>(parsed), context_));
}

http::Reply Service::detokenize(const http::HttpRequest& request) {
  const auto parsed = api::parse_detokenize(request.body, request_headers(request), context_);
  if (const auto* error = std::get_if<api::ApiError>(&parsed)) {
    return reply(error->status, api::kJsonContentType, api::error_body(*error));
  }
  return reply(200, api::kJsonContentType,
               api::detokenize_response(std::get<api::DetokenizeRequest>(parsed), context_));
}

http::Reply Service::models(const http::HttpRequest&) {
  return reply(200, api::kJsonContentType,
               api::models_response(context_, clock_.unix_ns() / kNsPerSecond));
}

http::Reply Service::health(const http::HttpRequest&) {
  const bool healthy = !engine_.failed() && !draining_.load();
  return reply(healthy ? 200 : 503, "", "");
}

http::Reply Service::version(const http::HttpRequest&) {
  return reply(200, api::kJsonContentType, api::version_response(options_.version));
}

http::Reply Service::load(const http::HttpRequest&) {
  return reply(200, api::kJsonContentType, api::load_response(in_flight_.load()));
}

http::Reply Service::metrics(const http::HttpRequest&) {
  MetricsText text = telemetry_.metrics();
  return reply(200, text.content_type, std::move(text.body));
}

}  // namespace touchstone::server
