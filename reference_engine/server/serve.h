// `touchstone serve` as a function: loads a model, serves it until a signal or a failure, and ends
// in order: no more connections, running requests drained, telemetry written out.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/environment.h"
#include "base/result.h"
#include "http/server.h"
#include "reference_engine/backend/registry.h"
#include "reference_engine/scheduler/config.h"
#include "reference_engine/server/cors.h"
#include "reference_engine/server/served_adapters.h"
#include "reference_engine/server/server_log.h"
#include "telemetry/export/span_spool.h"

namespace touchstone::server {

/// How chats become prompts, and answers messages.
struct ChatServeOptions {
  std::string chat_template;                 ///< a file or a template; empty: the model's
  std::string content_format = "auto";       ///< "string" or "openai": as the template wants it
  bool trust_request_chat_template = false;  ///< requests may bring their own
  std::string default_template_kwargs;       ///< a JSON object; empty: none
  std::string response_role = "assistant";
  bool enable_auto_tool_choice = false;
  bool exclude_tools_when_tool_choice_none = false;
  std::string tool_call_parser;  ///< empty: none
  std::string reasoning_parser;
};

/// The defaults are those of vLLM 0.32.0 on a CPU where it has the setting.
struct ServeOptions {
  std::string model;                            ///< a Hugging Face folder
  std::string model_name;                       ///< as it was asked for; empty: `model`
  std::string tokenizer;                        ///< the folder of its files; empty: `model`
  std::vector<std::string> served_model_names;  ///< empty: `model_name`
  std::string device = "auto";                  ///< a name of the registry
  std::string dtype = "auto";
  std::string load_format = "auto";
  /// What one backend alone knows: said aloud, and left out, where another one computes.
  std::map<std::string, std::string> backend_settings;
  uint64_t seed = 0;
  std::string generation_config = "auto";  ///< "vllm": no defaults from the model; or a folder
  std::string override_generation_config;  ///< a JSON object that goes before it; empty: none
  ChatServeOptions chat;
  AdapterServeOptions adapters;

  /// What was asked of it. The rest is what the backend's capabilities say or the default;
  /// num_blocks, max_model_len and watermark_blocks follow from what stands below.
  scheduler::FieldValues scheduler;
  std::optional<int64_t> max_model_len;  ///< -1: the largest that fits
  std::optional<int64_t> num_blocks_override;
  std::optional<int64_t> kv_cache_bytes;  ///< absent: what the backend and free memory allow
  double watermark = 0;
  std::optional<int64_t> max_num_queued_reqs;
  std::optional<int64_t> max_num_queued_tokens;
  std::optional<int64_t> max_num_scheduled_tokens;  ///< of a step; absent: as many as fit a batch

  int32_t max_logprobs = 20;
  int32_t max_choices = 1024;  ///< prompts × n of one request
  int32_t max_completion_prompts = 1024;
  int32_t max_stop_strings = 4;
  bool enable_prompt_tokens_details = false;
  bool enable_force_include_usage = false;
  bool enable_request_id_headers = false;
  bool enable_server_load_tracking = false;
  bool enable_tokenizer_info_endpoint = false;
  bool return_tokens_as_token_ids = false;
  int32_t stream_interval = 1;  ///< tokens of a streamed event, at least
  std::string fingerprint_mode = "full";
  std::string fingerprint_value;        ///< of the mode "custom"
  bool disable_any_whitespace = false;  ///< structured JSON has no optional white space
  bool serve_openapi = true;            ///< GET /openapi.json
  bool keep_responses = false;          ///< of /v1/responses, to be retrieved and gone on from
  bool dev_mode = false;                ///< also serves what only developers should reach
  std::string root_path;                ///< what a proxy leaves in front of the paths
  CorsOptions cors;
  bool log_stats = true;  ///< off: the metrics stand still
  std::vector<std::string> api_keys;

  http::HttpServerOptions http;
  ServerLogOptions log;
  std::string port_file;                            ///< gets the bound port once ready
  int64_t shutdown_timeout_ns = 30 * kNsPerSecond;  ///< then running requests are aborted

  std::string span_dialects = "vllm";  ///< names of telemetry/dialects, comma-separated
  std::string otlp_traces_endpoint;    ///< empty: no spans
  std::string otlp_metrics_endpoint;   ///< empty: metrics are scraped alone
  std::optional<int64_t> otlp_metrics_interval_ns;  ///< absent: what the environment says
  std::string span_log;                             ///< path, or "-" for stdout; empty: none
  std::optional<telemetry::SpoolOptions> spool;
  std::string price_table;        ///< path; empty: nothing has a price
  std::string rate_limits;        ///< path; empty: none
  std::string tenant_from;        ///< TenantSources; empty: no tenants
  std::string api_key_table;      ///< path; empty: none
  int64_t content_bytes_max = 0;  ///< of prompts and of answers in telemetry; 0: none
  bool usage_extensions = false;
  Environment environment;  ///< OTEL_*, TRACEPARENT, VLLM_*
  int64_t process_id = 0;
  std::string step_log;
  std::string request_log;
};

enum class ServeEnd {
  kStopped,       ///< by a signal, in order
  kEngineFailed,  ///< the backend gave up; `log` said why
};

/// `log` gets one line at a time, from several threads; what it has no room for is lost.
/// ERRORS: whatever keeps the server from starting: device, model, memory, port; kIo after the end
/// when a log could not be written.
Result<ServeEnd> serve(const ServeOptions& options, const backend::Registry& backends,
                       const Clock& clock, const ServerLog::Write& log);

}  // namespace touchstone::server
