#include "reference_engine/server/serve.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "base/files.h"
#include "base/mutex.h"
#include "base/sha256.h"
#include "base/text.h"
#include "base/version.h"
#include "records/trace_context.h"
#include "reference_engine/backend/registry.h"
#include "reference_engine/engine/engine.h"
#include "reference_engine/engine/kv_sizing.h"
#include "reference_engine/model/loaded_model.h"
#include "reference_engine/scheduler/scheduler.h"
#include "reference_engine/server/accounts.h"
#include "reference_engine/server/adapter_room.h"
#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/context.h"
#include "reference_engine/server/end_events.h"
#include "reference_engine/server/front_end.h"
#include "reference_engine/server/server_log.h"
#include "reference_engine/server/service.h"
#include "reference_engine/server/telemetry_sinks.h"

namespace touchstone::server {
namespace {

using Log = ServerLog::Write;

/// What clients read as the version: vLLM's, whose interface this is, and ours as PEP 440's local
/// part, so that nobody takes one for the other.
std::string public_version() { return std::string("0.32.0+touchstone.") + kVersion; }

/// The backend with the limits that flags and capabilities give, and the KV cache that fits.
struct Computing {
  std::unique_ptr<backend::Backend> backend;
  scheduler::Config config;
  int32_t adapter_slots = 0;
  int64_t kv_cache_bytes = 0;
  int64_t kv_block_bytes = 0;
};

Status check_block_size(int32_t block_size, const backend::Capabilities& can) {
  if (block_size <= can.max_block_size && block_size % can.block_size_multiple == 0) return {};
  return invalid_argument("--block-size: got " + std::to_string(block_size) +
                          ", expected a multiple of " + std::to_string(can.block_size_multiple) +
                          " up to " + std::to_string(can.max_block_size));
}

Status check_async_scheduling(const scheduler::Config& config, const backend::Capabilities& can) {
  if (!config.async_scheduling || can.max_plans_in_flight >= 2) return {};
  return Error{ErrorCode::kUnsupported,
               "--async-scheduling: got a backend that takes " +
                   std::to_string(can.max_plans_in_flight) +
                   " plan at a time, expected one that takes 2",
               "leave the flag out"};
}

/// --max-num-scheduled-tokens: what a step computes, when that is less than a batch holds.
Status limit_step(const ServeOptions& options, scheduler::Config& config) {
  if (!options.max_num_scheduled_tokens) return {};
  if (*options.max_num_scheduled_tokens > config.max_num_batched_tokens) {
    return invalid_argument("--max-num-scheduled-tokens: got " +
                            std::to_string(*options.max_num_scheduled_tokens) +
                            ", expected at most --max-num-batched-tokens, " +
                            std::to_string(config.max_num_batched_tokens));
  }
  config.max_num_batched_tokens = static_cast<int32_t>(*options.max_num_scheduled_tokens);
  return {};
}

/// The type to compute in. What this backend lacks is computed in the next wider one, aloud.
std::string computed_dtype(const std::string& asked, const backend::Capabilities& can,
                           const Log& log) {
  const auto has = [&](const char* dtype) {
    return std::find(can.dtypes.begin(), can.dtypes.end(), dtype) != can.dtypes.end();
  };
  if (asked != "float16" || has("float16") || !has("float32")) return asked;
  log("--dtype float16: computed in float32, which holds every float16: this backend has no "
      "arithmetic of half precision");
  return "float32";
}

Result<const backend::BackendFactory*> choose_device(const ServeOptions& options,
                                                     const backend::Registry& backends,
                                                     const Log& log) {
  std::vector<std::string> passed_over;
  const auto factory = backends.choose(options.device, &passed_over);
  if (!factory) return factory.error();
  for (const std::string& reason : passed_over) {
    log("--device auto: " + (*factory)->name() + " serves, because " + reason);
  }
  return factory;
}

backend::BackendOptions backend_options(const ServeOptions& options,
                                        const backend::Capabilities& can, int32_t slots,
                                        const Log& log) {
  backend::BackendOptions chosen{.dtype = computed_dtype(options.dtype, can, log),
                                 .load_format = options.load_format,
                                 .seed = options.seed,
                                 .adapter_slots = slots,
                                 .max_adapter_rank = slots > 0 ? options.adapters.max_rank : 0};
  for (const auto& [name, value] : options.backend_settings) {
    if (std::find(can.settings.begin(), can.settings.end(), name) != can.settings.end()) {
      chosen.settings[name] = value;
    } else {
      log("--" + name + ": accepted without effect: this device does not know it");
    }
  }
  return chosen;
}

Result<Computing> start_backend(const ServeOptions& options, const backend::Registry& backends,
                                const Log& log) {
  const auto factory = choose_device(options, backends, log);
  if (!factory) return factory.error();
  const auto can = (*factory)->capabilities();
  if (!can) return can.error();
  scheduler::Config config = {.block_size = can->default_block_size,
                              .max_num_seqs = can->default_max_num_seqs,
                              .max_num_batched_tokens = can->default_max_num_batched_tokens};
  RETURN_IF_ERROR(scheduler::set_values(options.scheduler, config));
  RETURN_IF_ERROR(limit_step(options, config));
  const backend::Limits asked{.max_num_batched_tokens = config.max_num_batched_tokens,
                              .max_num_seqs = config.max_num_seqs,
                              .block_size = config.block_size};
  RETURN_IF_ERROR(check_block_size(asked.block_size, *can));
  RETURN_IF_ERROR(check_async_scheduling(config, *can));
  const auto slots = adapter_slots(options.adapters, config, *can);
  if (!slots) return slots.error();
  auto backend = (*factory)->create(options.model, backend_options(options, *can, *slots, log));
  if (!backend) return std::move(backend).error();
  Computing computing;
  computing.adapter_slots = *slots;
  computing.backend = *std::move(backend);
  const int32_t model_max_len = computing.backend->model().max_position_embeddings;
  backend::Limits limits = asked;
  limits.max_model_len = model_max_len;
  if (options.max_model_len && *options.max_model_len > 0) {
    limits.max_model_len =
        static_cast<int32_t>(std::min<int64_t>(*options.max_model_len, model_max_len));
  }
  const auto sizes = computing.backend->size(limits);
  if (!sizes) return sizes.error();
  const auto memory = engine::kv_memory({.asked_bytes = options.kv_cache_bytes,
                                         .default_bytes = can->default_kv_cache_bytes,
                                         .default_percent = can->default_kv_percent,
                                         .total_bytes = sizes->total_bytes,
                                         .free_bytes = sizes->free_bytes,
                                         .workspace_bytes = sizes->workspace_bytes,
                                         .weight_bytes = sizes->weight_bytes,
                                         .num_blocks_override = options.num_blocks_override,
                                         .block_bytes = sizes->kv_block_bytes});
  if (!memory) return memory.error();
  const auto sizing = engine::size_kv({.block_bytes = sizes->kv_block_bytes,
                                       .block_size = asked.block_size,
                                       .memory_bytes = *memory,
                                       .num_blocks_override = options.num_blocks_override,
                                       .model_max_len = model_max_len,
                                       .max_model_len = options.max_model_len});
  if (!sizing) return sizing.error();
  computing.kv_cache_bytes = *memory;
  computing.kv_block_bytes = sizes->kv_block_bytes;
  config.num_blocks = sizing->num_blocks;
  config.max_model_len = sizing->max_model_len;
  config.sliding_window = computing.backend->model().sliding_window;
  config.watermark_blocks =
      static_cast<int64_t>(options.watermark * static_cast<double>(sizing->num_blocks));
  RETURN_IF_ERROR(scheduler::validate(config));
  computing.config = config;
  return computing;
}

/// What answers say of the system that made them; empty: nothing.
std::string fingerprint(const ServeOptions& options, const backend::ModelInfo& model,
                        const scheduler::Config& config) {
  if (options.fingerprint_mode == "none") return {};
  if (options.fingerprint_mode == "custom") return options.fingerprint_value;
  const std::string identity =
      join({model.architecture, model.dtype, std::to_string(model.num_parameters),
            std::to_string(config.max_model_len), std::to_string(config.block_size),
            std::to_string(options.seed)},
           "/");
  return "vllm-" + public_version() + "-" + sha256_hex(identity).substr(0, 8);
}

/// For clients to be told that their request was aborted.
constexpr int64_t kLastWordsNs = kNsPerSecond / 2;

/// What the HTTP server refuses by itself looks like the API's own errors.
http::HttpServerOptions with_error_replies(http::HttpServerOptions options) {
  options.error_reply = [](int status, const std::string& type, const std::string& message) {
    return http::HttpResponse{
        .status = status,
        .content_type = "application/json",
        .headers = {},
        .body = api::error_body(
            {.status = status, .type = type, .message = message, .param = std::nullopt})};
  };
  return options;
}

/// Tells metrics and log of each exchange.
class Observers final : public http::HttpObserver {
 public:
  Observers(TelemetrySinks& sinks, ServerLog& log) : sinks_(sinks), log_(log) {}
  void on_response_start(const http::HttpExchange& exchange) override {
    log_.on_response_start(exchange);
  }
  void on_response_end(const http::HttpExchange& exchange) override { sinks_.on_http(exchange); }
  void on_problem(const http::HttpExchange& exchange, const std::string& why) override {
    log_.on_problem(exchange, why);
  }

 private:
  TelemetrySinks& sinks_;
  ServerLog& log_;
};

/// Everything that runs, in the order in which each part needs the former ones.
class Server final {
 public:
  Server(const ServeOptions& options, const Clock& clock, const Log& log,
         const Computing& computing, const ModelFrontEnd& front_end, ServedAdapters& adapters,
         const Accounts& accounts, TelemetrySinks& sinks, ResponseStore* responses)
      : options_(options),
        clock_(clock),
        log_(log),
        responses_(responses),
        server_log_(options.log, clock, log,
                    [this, &sinks] { sinks.report_problems(server_log_); }),
        observers_(sinks, server_log_),
        engine_({.scheduler = computing.config,
                 .seed = options.seed,
                 .adapter_slots = computing.adapter_slots,
                 .max_num_queued_reqs = options.max_num_queued_reqs,
                 .max_num_queued_tokens = options.max_num_queued_tokens},
                clock, *computing.backend, *front_end.tokenizer, sinks),
        service_({.version = public_version(),
                  .api_keys = options.api_keys,
                  .enable_request_id_headers = options.enable_request_id_headers,
                  .enable_server_load_tracking = options.enable_server_load_tracking,
                  .tenants = accounts.tenants,
                  .tenant_keys = accounts.keys,
                  .content_bytes_max = options.content_bytes_max,
                  .rate_limits = accounts.limits.get(),
                  .http_spans = has_http_spans(options.span_dialects),
                  .usage_extensions = options.usage_extensions,
                  .responses = responses,
                  .prices = accounts.price_table(),
                  .process_trace = records::trace_context_of(options.environment),
                  .block_size = computing.config.block_size,
                  .cors = options.cors,
                  .disable_any_whitespace = options.disable_any_whitespace,
                  .root_path = options.root_path,
                  .tokenizer_info = front_end.tokenizer_info,
                  .serve_openapi = options.serve_openapi,
                  .dev_mode = options.dev_mode,
                  .server_info =
                      options.dev_mode ? server_info(options, computing.config) : std::string(),
                  .adapters = options.adapters.runtime_updates ? &adapters : nullptr,
                  .seed = options.seed},
                 clock, front_end.context, engine_, sinks, server_log_),
        http_(with_error_replies(options.http), clock, service_, observers_) {}

  Status start() {
    RETURN_IF_ERROR(http_.listen());
    // From here on clients can connect; what they send is read a moment later.
    if (!options_.port_file.empty()) {
      Status told = write_file_atomic(
          options_.port_file,
          (options_.http.uds.empty() ? std::to_string(http_.port()) : http_.address()) + "\n");
      if (!told) return std::move(told).error().with_context("--port-file");
    }
    http_.watch_signals([this](int) { events_.signal(); });
    engine_.start([this] { events_.engine_ended(); });
    http_.start();
    log_("ready: listening on " + http_.address());
    return {};
  }

  ServeEnd run() {
    if (events_.wait_for_signal()) {
      log_("signal received: draining, for at most " +
           format_duration(options_.shutdown_timeout_ns));
    } else {
      log_("engine failed: " + engine_.failure());
    }
    service_.drain();
    http_.drain([this] { events_.connections_ended(); });
    engine_.close();
    const int64_t end_ns = clock_.monotonic_ns() + options_.shutdown_timeout_ns;
    int64_t last_words_ns = 0;
    if (!events_.wait_for_engine(options_.shutdown_timeout_ns)) {
      log_("aborting the requests that still run");
      engine_.abort_all();
      last_words_ns = kLastWordsNs;
    }
    engine_.join();
    events_.wait_for_connections(std::max(end_ns - clock_.monotonic_ns(), last_words_ns));
    http_.stop();
    if (responses_ != nullptr) responses_->stop();
    return engine_.failed() ? ServeEnd::kEngineFailed : ServeEnd::kStopped;
  }

 private:
  const ServeOptions& options_;
  const Clock& clock_;
  const Log& log_;
  ResponseStore* const responses_;  // null: none is kept
  EndEvents events_;
  ServerLog server_log_;
  Observers observers_;
  engine::Engine engine_;
  Service service_;
  http::HttpServer http_;
};

std::optional<int64_t> window_of(const scheduler::Config& config) {
  return config.sliding_window > 0 ? std::optional<int64_t>(config.sliding_window) : std::nullopt;
}

std::optional<int64_t> max_loras_of(const ServeOptions& options, const scheduler::Config& config) {
  return options.adapters.enabled ? std::optional<int64_t>(config.max_loras) : std::nullopt;
}

TelemetrySinks::Options telemetry_options(const ServeOptions& options,
                                          const scheduler::Config& config, int64_t kv_cache_bytes,
                                          const api::ApiContext& context, const Accounts& accounts,
                                          const Clock& clock) {
  return {
      .step_log = options.step_log,
      .request_log = options.request_log,
      .metrics = {.model_name = context.served_model_names.front(),
                  .max_model_len = config.max_model_len,
                  .cache = {.block_size = config.block_size,
                            .user_specified_block_size = options.scheduler.contains("block_size"),
                            .num_gpu_blocks = config.num_blocks,
                            .num_gpu_blocks_override = options.num_blocks_override,
                            .enable_prefix_caching = config.enable_prefix_caching,
                            .kv_cache_memory_bytes = kv_cache_bytes,
                            .sliding_window = window_of(config)},
                  .started_unix_ns = clock.unix_ns(),
                  .max_loras = max_loras_of(options, config)},
      .log_stats = options.log_stats,
      .span_dialects = options.span_dialects,
      .served_models = context.served_model_names,
      .prices = accounts.price_table(),
      .tenants = !accounts.tenants.empty(),
      .otlp_traces_endpoint = options.otlp_traces_endpoint,
      .otlp_metrics_endpoint = options.otlp_metrics_endpoint,
      .otlp_metrics_interval_ns = options.otlp_metrics_interval_ns,
      .span_log = options.span_log,
      .spool = options.spool,
      .environment = options.environment,
      .seed = options.seed,
      .process_id = options.process_id};
}

void log_start(const ServeOptions& options, const backend::ModelInfo& model,
               const scheduler::Config& config, int64_t block_bytes, const Log& log) {
  log("touchstone " + std::string(kVersion) + ", seed " + std::to_string(options.seed));
  log("model " + model_name(options) + ": " + model.architecture + ", " +
      format_count(model.num_parameters) + " parameters, " + model.dtype + ", kernels " +
      model.kernels);
  if (!model.device.empty()) log("device: " + model.device);
  log("KV cache: " + format_count(config.num_blocks) + " blocks of " +
      std::to_string(config.block_size) + " tokens (" +
      format_fixed(static_cast<double>(config.num_blocks * block_bytes) / (1 << 20), 1) +
      " MiB), at most " + std::to_string(config.max_model_len) + " tokens per request, " +
      std::to_string(config.max_num_seqs) + " requests and " +
      std::to_string(config.max_num_batched_tokens) + " tokens per step" +
      (config.async_scheduling ? ", planned one step ahead" : ""));
}

void log_adapters(const ServedAdapters& adapters, const scheduler::Config& config, const Log& log) {
  std::vector<std::string> names;
  for (const auto& adapter : adapters.list()) names.push_back(adapter->name);
  if (names.empty()) return;
  log("LoRA adapters: " + join(names, ", ") + "; at most " + std::to_string(config.max_loras) +
      " in a step");
}

}  // namespace

Result<ServeEnd> serve(const ServeOptions& options, const backend::Registry& backends,
                       const Clock& clock, const Log& log) {
  http::raise_descriptor_limit();
  auto computing = start_backend(options, backends, log);
  if (!computing) return std::move(computing).error();
  backend::Backend& backend = *computing->backend;
  const scheduler::Config& config = computing->config;
  const backend::ModelInfo& model = backend.model();
  auto front_end = load_front_end(options, log);
  if (!front_end) return std::move(front_end).error();
  front_end->context.clock = &clock;
  if (front_end->tokenizer->vocab_size() > model.vocab_size) {
    return malformed(options.model + ": tokenizer.json has " +
                     std::to_string(front_end->tokenizer->vocab_size()) +
                     " tokens, but the model's vocabulary " + std::to_string(model.vocab_size));
  }
  front_end->context.max_model_len = config.max_model_len;
  front_end->context.vocab_size = model.vocab_size;
  front_end->context.system_fingerprint = fingerprint(options, model, config);
  auto model_config = model::load_config(options.model);
  if (!model_config) return std::move(model_config).error();
  ServedAdapters adapters(options.adapters, *std::move(model_config),
                          front_end->context.served_model_names);
  RETURN_IF_ERROR(adapters.load_modules());
  front_end->context.adapters = &adapters;
  RETURN_IF_ERROR(backend.allocate_kv(config.num_blocks, config.block_size));
  front_end->context.keep_messages = options.content_bytes_max > 0;
  const auto accounts = read_accounts({.price_table = options.price_table,
                                       .tenant_from = options.tenant_from,
                                       .api_key_table = options.api_key_table,
                                       .rate_limits = options.rate_limits},
                                      front_end->context.served_model_names);
  if (!accounts) return accounts.error();
  auto sinks = TelemetrySinks::open(telemetry_options(options, config, computing->kv_cache_bytes,
                                                      front_end->context, *accounts, clock),
                                    config, clock, log);
  if (!sinks) return std::move(sinks).error();
  log_start(options, model, config, computing->kv_block_bytes, log);

  log_adapters(adapters, config, log);

  std::optional<ResponseStore> responses;
  if (options.keep_responses) {
    responses.emplace(ResponseStoreLimits{});
    front_end->context.stored_turn = [&responses](std::string_view id) {
      return responses->turn(id);
    };
  }
  Server server(options, clock, log, *computing, *front_end, adapters, *accounts, **sinks,
                responses ? &*responses : nullptr);
  RETURN_IF_ERROR(server.start());
  const ServeEnd end = server.run();
  RETURN_IF_ERROR((*sinks)->close());
  return end;
}

}  // namespace touchstone::server
