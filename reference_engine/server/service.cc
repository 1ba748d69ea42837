#include "reference_engine/server/service.h"

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/ids.h"
#include "base/text.h"
#include "records/trace_context.h"
#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/generation_request.h"
#include "reference_engine/server/api/json_syntax.h"
#include "reference_engine/server/api/openapi.h"
#include "reference_engine/server/api/response.h"
#include "reference_engine/server/api/responses.h"
#include "reference_engine/server/api/sampling_fields.h"
#include "reference_engine/server/generation.h"
#include "reference_engine/server/prefix_cache_reset.h"
#include "reference_engine/server/refusal.h"
#include "reference_engine/server/request_headers.h"
#include "reference_engine/server/request_memory.h"

namespace touchstone::server {
namespace {

/// Where a route's path has {a name}, any segment may stand.
bool matches(std::string_view route, std::string_view path) {
  const size_t open = route.find('{');
  if (open == std::string_view::npos) return route == path;
  const std::string_view end = route.substr(route.find('}') + 1);
  if (!path.starts_with(route.substr(0, open)) || !path.ends_with(end)) return false;
  if (path.size() <= open + end.size()) return false;
  return path.substr(open, path.size() - open - end.size()).find('/') == std::string_view::npos;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

/// Of /v1/responses/{response_id}, whatever follows.
std::string_view response_id_of(std::string_view path) {
  path.remove_prefix(std::string_view("/v1/responses/").size());
  return path.substr(0, path.find('/'));
}

constexpr const char* kDevMode = "VLLM_SERVER_DEV_MODE=1";
bool is_dev_mode(const ServiceOptions& options) { return options.dev_mode; }

}  // namespace

struct Service::Route {
  std::string_view method;
  std::string_view path;
  http::Reply (Service::*handle)(http::HttpRequest&);
  http::Admission::Place place;
  bool generates = false;
  const char* needs = "";
  bool (*served)(const ServiceOptions& options) = [](const ServiceOptions&) { return true; };
};

const std::vector<Service::Route>& Service::routes() {
  using enum http::Admission::Place;
  static const std::vector<Route> kRoutes = {
      {"POST", "/v1/completions", &Service::completions, kWorker, true},
      {"POST", "/v1/chat/completions", &Service::chat_completions, kWorker, true},
      {"POST", "/v1/responses", &Service::responses, kWorker, true},
      {"GET", "/v1/responses/{response_id}", &Service::retrieve_response, kIoThread},
      {"POST", "/v1/responses/{response_id}/cancel", &Service::cancel_response, kIoThread},
      {"GET", "/v1/models", &Service::models, kIoThread},
      {"POST", "/tokenize", &Service::tokenize, kWorker},
      {"POST", "/detokenize", &Service::detokenize, kWorker},
      {"GET", "/health", &Service::health, kIoThread},
      {"GET", "/ping", &Service::health, kIoThread},
      {"POST", "/ping", &Service::health, kIoThread},
      {"GET", "/version", &Service::version, kIoThread},
      {"GET", "/load", &Service::load, kIoThread},
      {"GET", "/metrics", &Service::metrics, kIoThread},
      {"POST", "/invocations", &Service::invocations, kWorker, true},
      {"POST", "/v1/load_lora_adapter", &Service::load_adapter, kWorker, false,
       "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1",
       [](const ServiceOptions& options) { return options.adapters != nullptr; }},
      {"POST", "/v1/unload_lora_adapter", &Service::unload_adapter, kWorker, false,
       "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1",
       [](const ServiceOptions& options) { return options.adapters != nullptr; }},
      {"GET", "/openapi.json", &Service::openapi, kWorker, false, "",
       [](const ServiceOptions& options) { return options.serve_openapi; }},
      {"GET", "/tokenizer_info", &Service::tokenizer_info, kIoThread, false,
       "--enable-tokenizer-info-endpoint",
       [](const ServiceOptions& options) { return !options.tokenizer_info.empty(); }},
      {"GET", "/server_info", &Service::server_info, kIoThread, false, kDevMode, is_dev_mode},
      {"POST", "/reset_prefix_cache", &Service::reset_prefix_cache, kIoThread, false, kDevMode,
       is_dev_mode},
      {"POST", "/reset_mm_cache", &Service::reset_nothing, kIoThread, false, kDevMode, is_dev_mode},
      {"POST", "/reset_encoder_cache", &Service::reset_nothing, kIoThread, false, kDevMode,
       is_dev_mode},
  };
  return kRoutes;
}

std::vector<ServedRoute> served_routes() {
  std::vector<ServedRoute> served;
  for (const Service::Route& route : Service::routes()) {
    served.push_back({.method = route.method, .path = route.path, .needs = route.needs});
  }
  return served;
}

/// Without what a proxy left in front.
std::string_view Service::path_of(const http::HttpRequest& request) const {
  std::string_view path = request.path;
  if (!options_.root_path.empty() && path.starts_with(options_.root_path)) {
    path.remove_prefix(options_.root_path.size());
  }
  return path;
}

bool Service::serves(const Route& route) const { return route.served(options_); }

const Service::Route* Service::find_route(const http::HttpRequest& request) const {
  const std::string_view path = path_of(request);
  for (const Route& route : routes()) {
    if (route.method == request.method && matches(route.path, path) && serves(route)) {
      return &route;
    }
  }
  return nullptr;
}

// Ids must differ between runs with the same seed, since they name requests in what is stored
// about them: the time of the start goes in too.
Service::Service(const ServiceOptions& options, const Clock& clock, const api::ApiContext& context,
                 engine::Engine& engine, ServiceTelemetry& telemetry, ServerLog& log)
    : options_(options),
      clock_(clock),
      context_(context),
      engine_(engine),
      telemetry_(telemetry),
      log_(log),
      structured_output_(context, engine),
      ids_(options.seed ^ static_cast<uint64_t>(clock.unix_ns()), "response ids") {}

http::Admission Service::admit(const http::HttpRequest& head) {
  http::Admission admission{.refusal = refusal(head)};
  const Route* route = find_route(head);
  if (admission.refusal) {
    if (route != nullptr && route->generates && admission.refusal->response.status == 401) {
      record_refusal(head, {.status = 401, .type = "Unauthorized", .message = {}, .param = {}});
    }
    if (!is_preflight(head)) {
      for (auto& header : common_headers(head)) {
        admission.refusal->response.headers.push_back(std::move(header));
      }
    }
  } else {
    admission.place = route->place;
  }
  return admission;
}

/// What needs no body: preflights, a missing key, an unknown route or method.
std::optional<http::Reply> Service::refusal(const http::HttpRequest& head) const {
  if (is_preflight(head)) {
    return http::Reply{.response = preflight(head, options_.cors), .pending = nullptr, .route = {}};
  }
  if (!authorized(head)) return reply(401, api::kJsonContentType, api::unauthorized_body());
  if (find_route(head) != nullptr) return std::nullopt;
  const std::string_view path = path_of(head);
  std::vector<std::string> allowed;
  for (const Route& route : routes()) {
    if (matches(route.path, path) && serves(route)) allowed.emplace_back(route.method);
  }
  const int status = allowed.empty() ? 404 : 405;
  http::Reply answer = reply(status, api::kJsonContentType, api::detail_body(status));
  if (!allowed.empty()) answer.response.headers.emplace_back("allow", join(allowed, ", "));
  return answer;
}

http::Reply Service::handle(http::HttpRequest& request) {
  const Route& route = *find_route(request);  // admit() let it pass
  http::Reply answer = (this->*route.handle)(request);
  answer.route = route.path;
  if (!answer.pending) {
    for (auto& header : common_headers(request)) {
      answer.response.headers.push_back(std::move(header));
    }
  }
  return answer;
}

/// Keys are asked for under /v1 only; health, metrics and tokens are open, as in vLLM.
bool Service::authorized(const http::HttpRequest& request) const {
  const bool open = options_.api_keys.empty() && options_.tenant_keys.empty();
  if (open || request.method == "OPTIONS") return true;
  const std::string_view path = path_of(request);
  if (path != "/v1" && !path.starts_with("/v1/")) return true;
  const std::string given = request.header("authorization").value_or("");
  const std::string_view token = bearer_token(given);
  bool known = options_.tenant_keys.owner(token) != nullptr;
  for (const std::string& key : options_.api_keys) known |= equal_in_constant_time(token, key);
  return known;
}

http::HttpHeaders Service::common_headers(const http::HttpRequest& request) {
  http::HttpHeaders headers = cors_headers(request, options_.cors);
  if (options_.enable_request_id_headers) {
    const auto given = request.header("x-request-id");
    headers.emplace_back("x-request-id", given ? *given : random_hex(32));
  }
  return headers;
}

std::string Service::random_hex(size_t digits) {
  std::string hex;
  const MutexLock lock(ids_mutex_);
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

/// As vLLM does: extra fields are allowed, and told of.
void Service::tell_of_unknown(const std::vector<std::string>& fields) {
  if (fields.empty()) return;
  log_.warn("unknown fields", "The following fields were present in the request but ignored: " +
                                  quote(join(fields, ", ")));
}

/// Has the request hold `bytes` of the server's budget, or says why it may not.
std::optional<api::ApiError> Service::take_memory(http::HttpRequest& request, int64_t bytes) const {
  if (request.memory.resize(bytes)) return std::nullopt;
  const std::string limit = std::to_string(request.memory.limit_bytes());
  return bytes > request.memory.limit_bytes()
             ? api::bad_request("This request needs about " + std::to_string(bytes) +
                                " bytes of memory; this server has " + limit +
                                " for all requests together (--max-request-memory-bytes).")
             : api::overloaded("The requests under way hold nearly all of the " + limit +
                               " bytes that this server has for them; try again later.");
}

http::Reply Service::error_reply(const api::ApiError& error) const {
  return reply(error.status, api::kJsonContentType, api::error_body(error));
}

std::optional<records::TraceContext> Service::trace_of(const http::HttpRequest& request) const {
  const auto traceparent = request.header("traceparent");
  if (!traceparent) return options_.process_trace;
  return records::parse_trace_context(*traceparent, request.header("tracestate").value_or(""));
}

template <typename Subject>
void Service::add_http_span(Subject& subject) {
  if (!options_.http_spans) return;
  if (subject.trace) {
    subject.caller_span_id = subject.trace->parent_span_id;
  } else {
    subject.trace.emplace();
    subject.trace->trace_id = random_id<TraceId>();
    subject.trace->flags = 1;
  }
  subject.http_span_id = random_id<SpanId>();
  subject.trace->parent_span_id = *subject.http_span_id;
  subject.trace->remote = false;
}
template void Service::add_http_span(GenerationStart& subject);
template void Service::add_http_span(records::RequestRecord& subject);

records::RequestRecord Service::refusal_record(const http::HttpRequest& request,
                                               const api::ApiError& error) {
  const bool completions = path_of(request) == "/v1/completions";
  const auto prefix = api::response_id_prefix(completions ? api::Endpoint::kCompletions
                                                          : api::Endpoint::kChatCompletions);
  records::RequestRecord record = refused_record(
      request, error, std::string(prefix) + random_hex(16) + (completions ? "-0" : ""), context_,
      clock_.monotonic_ns());
  record.trace = trace_of(request);
  add_http_span(record);
  record.tenant = options_.tenants.tenant_of(request, "", options_.tenant_keys);
  return record;
}

void Service::record_refusal(const http::HttpRequest& request, const api::ApiError& error) {
  telemetry_.on_refused(refusal_record(request, error));
}

http::Reply Service::refuse(const http::HttpRequest& request, const api::ApiError& error) {
  record_refusal(request, error);
  return error_reply(error);
}

http::Reply Service::retrieve_response(http::HttpRequest& request) {
  const std::string_view id = response_id_of(path_of(request));
  if (options_.responses == nullptr) return error_reply(api::no_such_response(id));
  return options_.responses->retrieve(request, id);
}

http::Reply Service::cancel_response(http::HttpRequest& request) {
  const std::string_view id = response_id_of(path_of(request));
  if (options_.responses == nullptr) return error_reply(api::no_such_response(id));
  return options_.responses->cancel(id);
}

http::Reply Service::tokenize(http::HttpRequest& request) {
  if (const auto refused = take_memory(request, parsing_bytes(request.body, kChatCopies))) {
    return error_reply(*refused);
  }
  const auto parsed = api::parse_tokenize(request.body, request_headers(request), context_);
  if (const auto* error = std::get_if<api::ApiError>(&parsed)) {
    return error_reply(*error);
  }
  tell_of_unknown(std::get<api::TokenizeRequest>(parsed).unknown_fields);
  return reply(200, api::kJsonContentType,
               api::tokenize_response(std::get<api::TokenizeRequest>(parsed), context_));
}

http::Reply Service::detokenize(http::HttpRequest& request) {
  if (const auto refused = take_memory(request, parsing_bytes(request.body, kTextCopies))) {
    return error_reply(*refused);
  }
  const auto parsed = api::parse_detokenize(request.body, request_headers(request), context_);
  if (const auto* error = std::get_if<api::ApiError>(&parsed)) {
    return error_reply(*error);
  }
  tell_of_unknown(std::get<api::DetokenizeRequest>(parsed).unknown_fields);
  return reply(200, api::kJsonContentType,
               api::detokenize_response(std::get<api::DetokenizeRequest>(parsed), context_));
}

/// SageMaker's one path for everything: what the body is decides.
http::Reply Service::invocations(http::HttpRequest& request) {
  const nlohmann::json body = nlohmann::json::parse(request.body, nullptr, false);
  return body.is_object() && body.contains("messages") ? chat_completions(request)
                                                       : completions(request);
}

http::Reply Service::tokenizer_info(http::HttpRequest&) {
  return reply(200, api::kJsonContentType, options_.tokenizer_info);
}

http::Reply Service::server_info(http::HttpRequest&) {
  return reply(200, api::kJsonContentType, options_.server_info);
}

http::Reply Service::reset_prefix_cache(http::HttpRequest& request) {
  return server::reset_prefix_cache(request, common_headers(request), engine_);
}

/// What this server serves, as it was started.
http::Reply Service::openapi(http::HttpRequest&) {
  std::vector<api::OpenApiRoute> served;
  for (const Route& route : routes()) {
    if (serves(route)) served.push_back({.method = route.method, .path = route.path});
  }
  return reply(200, api::kJsonContentType, api::openapi_document(served, options_.version));
}

/// Of images and encoders nothing is kept.
http::Reply Service::reset_nothing(http::HttpRequest&) { return reply(200, "", ""); }

http::Reply Service::models(http::HttpRequest&) {
  return reply(200, api::kJsonContentType,
               api::models_response(context_, clock_.unix_ns() / kNsPerSecond));
}

http::Reply Service::health(http::HttpRequest&) {
  const bool healthy = !engine_.failed() && !draining_.load();
  if (!options_.usage_extensions) return reply(healthy ? 200 : 503, "", "");
  return reply(healthy ? 200 : 503, api::kJsonContentType,
               healthy ? "{\"status\":\"ok\"}" : "{\"status\":\"unavailable\"}");
}

http::Reply Service::version(http::HttpRequest&) {
  return reply(200, api::kJsonContentType, api::version_response(options_.version));
}

http::Reply Service::load(http::HttpRequest&) {
  return reply(200, api::kJsonContentType, api::load_response(in_flight_.load()));
}

http::Reply Service::metrics(http::HttpRequest& request) {
  MetricsText text = telemetry_.metrics(request.header("accept").value_or(""));
  return reply(200, text.content_type, std::move(text.body));
}

}  // namespace touchstone::server
