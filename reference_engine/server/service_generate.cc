// Completions, chats and responses: from a body to an answer under way.
#include <memory>
#include <utility>

#include "base/ids.h"
#include "base/text.h"
#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/generation_request.h"
#include "reference_engine/server/api/json_syntax.h"
#include "reference_engine/server/api/response.h"
#include "reference_engine/server/api/responses.h"
#include "reference_engine/server/api/sampling_fields.h"
#include "reference_engine/server/generation.h"
#include "reference_engine/server/request_headers.h"
#include "reference_engine/server/request_memory.h"
#include "reference_engine/server/service.h"

namespace touchstone::server {
http::Reply Service::completions(http::HttpRequest& request) {
  if (const auto refused = take_memory(request, parsing_bytes(request.body, kTextCopies))) {
    return refuse(request, *refused);
  }
  return generate(request, api::parse_completion);
}

http::Reply Service::chat_completions(http::HttpRequest& request) {
  if (const auto refused = take_memory(request, parsing_bytes(request.body, kChatCopies))) {
    return refuse(request, *refused);
  }
  return generate(request, api::parse_chat);
}

http::Reply Service::responses(http::HttpRequest& request) {
  if (const auto refused = take_memory(request, parsing_bytes(request.body, 2 * kChatCopies))) {
    return refuse(request, *refused);
  }
  return generate(request, api::parse_responses);
}

http::Reply Service::generate(http::HttpRequest& request, ParseGeneration parse) {
  const int64_t parse_start_ns = clock_.monotonic_ns();
  api::ParsedGeneration parsed = api::overloaded("The server is shutting down.");
  if (!draining_.load()) parsed = parse(request.body, request_headers(request), context_);
  const int64_t parsed_ns = clock_.monotonic_ns();
  if (const auto* error = std::get_if<api::ApiError>(&parsed)) {
    return refuse(request, *error);
  }
  GenerationStart start;
  auto& generation = std::get<api::GenerationRequest>(parsed);
  tell_of_unknown(generation.unknown_fields);
  if (const auto refused = take_memory(request, bytes_of(generation, context_))) {
    return refuse(request, *refused);
  }
  start.tenant = options_.tenants.tenant_of(request, generation.user, options_.tenant_keys);
  if (auto answer = limited(request, generation, start.tenant)) return *std::move(answer);
  if (const auto refused = start_grammar(generation, start)) return refuse(request, *refused);
  start.response_id = response_id(generation);
  start.request = std::make_shared<const api::GenerationRequest>(std::move(generation));
  start.arrival_unix_ns = request.arrival_unix_ns;
  start.arrival_ns = request.arrival_ns;
  start.tokenize_ns = parsed_ns - parse_start_ns;
  start.trace = trace_of(request);
  add_http_span(start);
  start.content_bytes_max = options_.content_bytes_max;
  if (options_.usage_extensions) add_extension(start);
  start.headers = common_headers(request);
  keep_response(start);
  if (start.request->background && !options_.responses->has_room()) {
    return refuse(request, api::overloaded("The server makes as many responses in the background "
                                           "as it may; try again later."));
  }
  if (options_.enable_server_load_tracking) {
    start.in_flight = std::make_unique<InFlight>(in_flight_);
  }
  start.on_refusal = [&](const api::ApiError& error, engine::Engine::Admission admission) {
    if (admission != engine::Engine::Admission::kClosed) telemetry_.on_rejection(admission);
    record_refusal(request, error);
  };
  const auto generated = start.request;
  BackgroundResponse background{.id = start.response_id,
                                .queued = {},
                                .conversation = {},
                                .streams = generated->stream,
                                .work = nullptr,
                                .memory = {},
                                .headers = start.headers};
  http::Reply started = start_generation(std::move(start), engine_, context_, options_.block_size);
  if (!generated->background || !started.pending) return started;
  return in_background(request, *generated, std::move(background), std::move(started));
}

http::Reply Service::in_background(http::HttpRequest& request,
                                   const api::GenerationRequest& generation,
                                   BackgroundResponse response, http::Reply started) {
  response.queued = api::responses_queued(
      generation, {.id = response.id, .created = request.arrival_unix_ns / kNsPerSecond});
  response.conversation = generation.conversation;
  response.work = std::move(started.pending);
  response.memory = std::move(request.memory);  // held until it has ended
  return options_.responses->run(std::move(response));
}

void Service::keep_response(GenerationStart& start) {
  if (start.request->conversation.empty()) return;
  start.keep = [store = options_.responses, id = start.response_id,
                request = start.request](std::string response) {
    store->keep(id, std::move(response), request->conversation);
  };
}

void Service::add_extension(GenerationStart& start) {
  if (!start.trace) start.own_trace_id = random_id<TraceId>();
  const TraceId trace_id = start.trace ? start.trace->trace_id : *start.own_trace_id;
  const auto& adapter = start.request->adapter;
  const auto price = options_.prices == nullptr
                         ? std::nullopt
                         : options_.prices->find(adapter ? adapter->parent : start.request->model,
                                                 adapter ? adapter->name : std::string());
  start.extend = [trace_id, price](const telemetry::Usage& usage) {
    api::UsageExtension extension{.trace_id = trace_id.hex(), .estimated_cost_usd = {}};
    if (price) extension.estimated_cost_usd = telemetry::cost_of(*price, usage).text();
    return extension;
  };
}

/// The client's name for it, or one of ours. A response's own id is what the client gave.
std::string Service::response_id(const api::GenerationRequest& request) {
  const auto& given = request.request_id_base;
  if (request.responses != nullptr) return given ? *given : "resp_" + random_hex(32);
  return std::string(api::response_id_prefix(request.endpoint)) + (given ? *given : random_hex(16));
}

/// What the answer must look like is compiled while the request goes on.
std::optional<api::ApiError> Service::start_grammar(const api::GenerationRequest& request,
                                                    ArrivedRequest& arrived) {
  if (!request.grammar) return std::nullopt;
  grammar::GrammarSpec spec = *request.grammar;
  spec.any_whitespace = spec.any_whitespace && !options_.disable_any_whitespace;
  std::vector<int32_t> stops = request.eos_token_ids;
  stops.insert(stops.end(), request.stop_token_ids.begin(), request.stop_token_ids.end());
  auto source = structured_output_.start(spec, std::move(stops));
  if (source) {
    arrived.constraint = *std::move(source);
    return std::nullopt;
  }
  const Error& error = source.error();
  if (error.code == ErrorCode::kUnavailable) return api::overloaded(error.message);
  if (!grammar::is_built_in()) {
    return api::ApiError{501, "NotImplementedError", error.message, std::nullopt};
  }
  return api::bad_request(error.message);
}

/// A request takes its prompts and all that it may generate from the bucket, whatever it uses.
std::optional<http::Reply> Service::limited(const http::HttpRequest& request,
                                            const api::GenerationRequest& generation,
                                            const std::string& tenant) {
  if (options_.rate_limits == nullptr) return std::nullopt;
  int64_t tokens = 0;
  for (const api::Prompt& prompt : generation.prompts) {
    tokens += std::ssize(prompt.token_ids) + int64_t{generation.n} * prompt.max_tokens;
  }
  const auto refusal = options_.rate_limits->take(tenant, tokens, clock_.monotonic_ns());
  if (!refusal) return std::nullopt;
  const int64_t seconds = (refusal->wait_ns + kNsPerSecond - 1) / kNsPerSecond;
  const api::ApiError error{429, "RateLimitError",
                            std::string("Rate limit of ") + refusal->limit +
                                " reached; try again in " + std::to_string(seconds) + " s.",
                            std::nullopt};
  records::RequestRecord record = refusal_record(request, error);
  record.tenant = tenant;
  record.rate_limit = refusal->limit;
  telemetry_.on_refused(record);
  http::Reply answer = error_reply(error);
  answer.response.headers.emplace_back("retry-after", std::to_string(seconds));
  return answer;
}

}  // namespace touchstone::server
