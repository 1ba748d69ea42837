#include "cli/serve_flags.h"

#include "cli/config_flags.h"
#include "cli/duration_flag.h"

namespace touchstone::cli {
namespace {

using server::ServeOptions;

constexpr const char* kOwnFlags[] = {"--api-key-table",
                                     "--backend-plugin",
                                     "--capture-content",
                                     "--capture-content-bytes",
                                     "--compatibility",
                                     "--device",
                                     "--gemm",
                                     "--http-idle-timeout",
                                     "--http-read-timeout",
                                     "--http-spans",
                                     "--http-threads",
                                     "--http-write-timeout",
                                     "--kernels",
                                     "--max-body-bytes",
                                     "--max-choices",
                                     "--max-connections",
                                     "--max-request-memory-bytes",
                                     "--otlp-spool",
                                     "--otlp-spool-fsync",
                                     "--otlp-spool-max-bytes",
                                     "--port-file",
                                     "--price-table",
                                     "--rate-limits",
                                     "--request-log",
                                     "--span-dialect",
                                     "--span-log",
                                     "--step-log",
                                     "--tenant-from",
                                     "--threads",
                                     "--usage-extensions"};

/// A flag that only some backends know; one that knows it checks the value.
void add_backend_setting(CLI::App& app, ServeOptions& options, const std::string& name,
                         const std::string& help) {
  app.add_option_function<std::string>(
      "--" + name,
      [&options, name](const std::string& value) { options.backend_settings[name] = value; }, help);
}

void add_model_flags(CLI::App& app, ServeFlags& flags) {
  ServeOptions& options = flags.options;
  app.add_option("model_tag", flags.model_argument,
                 "Model: a folder (Hugging Face layout), or a name of the Hugging Face hub that "
                 "lies in the local cache");
  app.add_option("--model", flags.model_flag, "The same as a flag");
  app.add_option("--served-model-name", options.served_model_names,
                 "Names that clients may use; answers carry the first. Default: the model")
      ->expected(1, CLI::detail::expected_max_vector_size);
  app.add_option("--dtype", options.dtype, "Type of weights and activations")
      ->check(CLI::IsMember({"auto", "bfloat16", "float32", "float", "float16", "half"}))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Seeds every request that brings no seed")
      ->capture_default_str();
  app.add_option("--tokenizer", options.tokenizer,
                 "Folder of the tokenizer's files. Default: the model's");
  app.add_option("--revision", flags.revision, "Of a model of the hub: branch, tag or commit")
      ->capture_default_str();
  app.add_option("--download-dir", flags.download_dir,
                 "The hub's local cache. Default: HF_HUB_CACHE, else HF_HOME/hub, else "
                 "~/.cache/huggingface/hub");
  app.add_option("--generation-config", options.generation_config,
                 "Where sampling defaults come from: auto (the model), vllm (none), or a folder")
      ->capture_default_str();
  app.add_option("--override-generation-config", options.override_generation_config,
                 "Sampling defaults that go before those, as JSON: '{\"temperature\": 0.5}'");
  app.add_option("--max-logprobs", options.max_logprobs,
                 "Most log-probabilities per token; -1: no limit")
      ->check(CLI::Range(-1, 1 << 20))
      ->capture_default_str();
  app.add_option("--max-choices", options.max_choices, "Most choices, prompts x n, of one request")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  app.add_option(
         "--load-format", options.load_format,
         "Where weights come from: auto (safetensors, else pytorch_model.bin), safetensors, pt, "
         "or dummy (random, of --seed)")
      ->check(CLI::IsMember({"auto", "hf", "safetensors", "pt", "dummy"}))
      ->capture_default_str();
  app.add_option("--device", options.device,
                 "Backend that computes: cpu, cuda, or auto, the best that can run here")
      ->capture_default_str();
  app.add_option("--backend-plugin", flags.backend_plugins,
                 "Shared object with a backend; it stands before those of this program");
  add_backend_setting(app, options, "kernels",
                      "CPU kernels: amx, avx512, avx2 or portable, of equal bits. Default: the best of this machine");
  add_backend_setting(app, options, "threads",
                      "Threads of the backend. Default: one per processor");
  add_backend_setting(app, options, "gemm",
                      "Matrix products on a GPU: cublaslt or kernels, the project's own. "
                      "Default: cublaslt");
  app.add_option_function<std::string>(
      "--gpu-memory-utilization,--device-memory-utilization",
      [&options](const std::string& value) {
        options.backend_settings["gpu-memory-utilization"] = value;
      },
      "Part of a GPU's memory for weights, KV and everything else. Default: 0.92");
  app.add_flag_function(
      "--enforce-eager,!--no-enforce-eager",
      [&options](int64_t count) {
        if (count > 0) options.backend_settings["enforce-eager"] = "true";
      },
      "No CUDA graphs");
}

void add_chat_flags(CLI::App& app, ServeFlags& flags) {
  server::ChatServeOptions& chat = flags.options.chat;
  app.add_option("--chat-template", chat.chat_template,
                 "Chat template: a file, or the template itself. Default: the model's");
  app.add_option("--chat-template-content-format", chat.content_format,
                 "What a message's content is for the template: string, openai (a list of parts), "
                 "or auto (what the template looks for)")
      ->check(CLI::IsMember({"auto", "string", "openai"}))
      ->capture_default_str();
  app.add_flag("--trust-request-chat-template,!--no-trust-request-chat-template",
               chat.trust_request_chat_template, "Requests may bring a chat template");
  app.add_option("--default-chat-template-kwargs", chat.default_template_kwargs,
                 "Arguments of the template, as JSON; a request's own go before them");
  app.add_option("--structured-outputs-config", flags.structured_outputs_config,
                 "As JSON: backend (auto or xgrammar) and disable_any_whitespace")
      ->allow_extra_args(false);
  app.add_option("--response-role", chat.response_role, "Role of chat answers")
      ->capture_default_str();
  app.add_flag("--enable-auto-tool-choice,!--no-enable-auto-tool-choice",
               chat.enable_auto_tool_choice,
               "Answers may call the request's tools; needs --tool-call-parser");
  app.add_option("--tool-call-parser", chat.tool_call_parser,
                 "How the model writes calls: hermes, llama3_json, mistral or pythonic");
  app.add_flag("--exclude-tools-when-tool-choice-none,!--no-exclude-tools-when-tool-choice-none",
               chat.exclude_tools_when_tool_choice_none,
               "The template sees no tools that must not be called");
  app.add_option("--reasoning-parser", chat.reasoning_parser,
                 "How the model marks its reasoning: deepseek_r1 or qwen3");
}

void add_scheduler_flags(CLI::App& app, ServeFlags& flags) {
  ServeOptions& options = flags.options;
  const CLI::Range positive(1, INT32_MAX);
  app.add_option("--max-model-len", flags.max_model_len,
                 "Most tokens of prompt and answer together (suffixes k m g t, K M G T); auto: the "
                 "most that fits. Default: the model's limit");
  app.add_option("--num-gpu-blocks-override", options.num_blocks_override,
                 "Exactly this many KV blocks (on the CPU too)")
      ->check(positive);
  app.add_option("--kv-cache-memory-bytes", flags.kv_cache_memory_bytes,
                 "Memory for keys and values. Default: VLLM_CPU_KVCACHE_SPACE GiB, else the "
                 "backend's (cpu: 4 GiB, at most a quarter of the memory there is; cuda: what "
                 "--gpu-memory-utilization leaves)")
      ->check(CLI::Range(int64_t{1}, INT64_MAX));
  add_config_flags(
      app, {.defaults = {}, .else_than_default = "", .left_out = {"num_blocks", "max_model_len"}},
      flags.scheduler);
  app.add_option("--watermark", options.watermark, "Part of the blocks that admission leaves free")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--max-num-queued-reqs", options.max_num_queued_reqs,
                 "Most completions that wait; beyond it 503. Default: no limit")
      ->check(CLI::Range(int64_t{0}, INT64_MAX));
  app.add_option("--max-num-queued-tokens", options.max_num_queued_tokens,
                 "Most prompt tokens of those that wait; beyond it 503. Default: no limit")
      ->check(CLI::Range(int64_t{0}, INT64_MAX));
  app.add_option("--max-num-scheduled-tokens", options.max_num_scheduled_tokens,
                 "Most tokens that a step computes. Default: --max-num-batched-tokens")
      ->check(positive);
  app.add_option("--stream-interval", options.stream_interval,
                 "Tokens of a streamed event; the first and the last are sent at once")
      ->check(positive)
      ->capture_default_str();
}

void add_adapter_flags(CLI::App& app, ServeFlags& flags) {
  server::AdapterServeOptions& adapters = flags.options.adapters;
  app.add_flag("--enable-lora,!--no-enable-lora", adapters.enabled,
               "Requests may name a LoRA adapter as their model");
  app.add_option("--lora-modules", adapters.modules,
                 "Adapters: NAME=FOLDER, or a JSON object with name, path and base_model_name. "
                 "With VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 /v1/load_lora_adapter and "
                 "/v1/unload_lora_adapter change them")
      ->expected(1, CLI::detail::expected_max_vector_size);
  app.add_option("--max-lora-rank", adapters.max_rank, "Largest rank of an adapter")
      ->check(CLI::IsMember({1, 8, 16, 32, 64, 128, 256, 320, 512}))
      ->capture_default_str();
  app.add_option("--max-cpu-loras", adapters.max_cpu_loras,
                 "Most adapters kept in memory; others are read again when they are asked for. "
                 "Default: --max-loras")
      ->check(CLI::Range(1, 1 << 20));
}

void add_access_flags(CLI::App& app, ServeFlags& flags) {
  ServeOptions& options = flags.options;
  app.add_option("--root-path", options.root_path, "What a proxy leaves in front of the paths");
  app.add_option("--allowed-origins", flags.allowed_origins,
                 "Origins of browsers that may ask, as a JSON list; '[\"*\"]': any. Default: none");
  app.add_option("--allowed-methods", flags.allowed_methods, "Methods that they may use")
      ->capture_default_str();
  app.add_option("--allowed-headers", flags.allowed_headers, "Headers that they may send")
      ->capture_default_str();
  app.add_flag("--allow-credentials,!--no-allow-credentials", options.cors.credentials,
               "They may send credentials");
  app.add_option("--api-key", options.api_keys,
                 "Keys that clients must send under /v1. Default: VLLM_API_KEY, else none")
      ->expected(1, CLI::detail::expected_max_vector_size);
}

void add_answer_flags(CLI::App& app, ServeFlags& flags) {
  ServeOptions& options = flags.options;
  app.add_flag("--enable-prompt-tokens-details,!--no-enable-prompt-tokens-details",
               options.enable_prompt_tokens_details,
               "Usage says how many prompt tokens were cached");
  app.add_flag("--enable-force-include-usage,!--no-enable-force-include-usage",
               options.enable_force_include_usage, "Streams always end with usage");
  app.add_flag("--enable-request-id-headers,!--no-enable-request-id-headers",
               options.enable_request_id_headers, "Answers carry X-Request-Id");
  app.add_flag("--enable-server-load-tracking,!--no-enable-server-load-tracking",
               options.enable_server_load_tracking, "/load counts requests");
  app.add_flag("--enable-tokenizer-info-endpoint,!--no-enable-tokenizer-info-endpoint",
               options.enable_tokenizer_info_endpoint,
               "/tokenizer_info tells the tokenizer's configuration and the chat template");
  app.add_flag("--disable-fastapi-docs,!--no-disable-fastapi-docs", flags.disable_docs,
               "No /openapi.json");
  app.add_option(
         "--fingerprint-mode", options.fingerprint_mode,
         "What answers say as system_fingerprint: full and hash (version and hash), custom, "
         "or none")
      ->check(CLI::IsMember({"full", "hash", "custom", "none"}))
      ->capture_default_str();
  app.add_option("--fingerprint-value", options.fingerprint_value, "Of the mode custom");
  app.add_flag("--return-tokens-as-token-ids,!--no-return-tokens-as-token-ids",
               options.return_tokens_as_token_ids, "Log-probabilities name tokens as token_id:N");
}

void add_limit_flags(CLI::App& app, ServeFlags& flags) {
  ServeOptions& options = flags.options;
  const auto size = CLI::Range(int64_t{1}, int64_t{1} << 40);
  app.add_option("--h11-max-incomplete-event-size", options.http.max_header_bytes,
                 "Most bytes of a request's header")
      ->check(size)
      ->capture_default_str();
  app.add_option("--h11-max-header-count", options.http.max_headers, "Most headers of a request")
      ->check(size)
      ->capture_default_str();
  app.add_option("--max-body-bytes", options.http.max_body_bytes, "Most bytes of a request's body")
      ->check(size)
      ->capture_default_str();
  app.add_option("--max-connections", options.http.max_connections, "Most open connections")
      ->check(size)
      ->capture_default_str();
  app.add_option("--max-request-memory-bytes", options.http.max_request_memory_bytes,
                 "Memory that all requests together may hold, from their first byte to the end of "
                 "their answer; beyond it 503 (docs/limits.md)")
      ->check(size)
      ->capture_default_str();
  app.add_option("--http-threads", options.http.threads, "Threads that read and write connections")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--renderer-num-workers", options.http.workers,
                 "Threads that parse, render templates and tokenize")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
}

void add_http_flags(CLI::App& app, ServeFlags& flags) {
  ServeOptions& options = flags.options;
  add_listen_flags(app, flags.listen, options);
  app.add_option("--shutdown-timeout", flags.shutdown_timeout_s,
                 "Seconds that running requests get after SIGTERM; then they are aborted")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  add_access_flags(app, flags);
  add_answer_flags(app, flags);
  add_limit_flags(app, flags);
}

void add_timeout_flags(CLI::App& app, ServeFlags& flags) {
  ServeOptions& options = flags.options;
  add_duration_flag(app, "--http-idle-timeout", options.http.idle_timeout_ns,
                    "Closes a connection without a request after this");
  add_duration_flag(app, "--http-read-timeout", options.http.read_timeout_ns,
                    "Longest wait for a header, and for a body");
  add_duration_flag(app, "--http-write-timeout", options.http.write_timeout_ns,
                    "Longest that a client may leave 64 KiB unread");
}

void add_log_flags(CLI::App& app, ServeFlags& flags) {
  ServeOptions& options = flags.options;
  app.add_flag_callback(
      "--disable-uvicorn-access-log", [&options] { options.log.access = false; },
      "No line on stderr for each answer");
  app.add_option("--disable-access-log-for-endpoints", flags.quiet_paths,
                 "Paths without such a line, separated by commas: /health,/metrics");
  app.add_flag("--fail-on-environ-validation", flags.fail_on_environment,
               "A VLLM_ variable that is not known keeps the server from starting");
}

}  // namespace

void add_serve_flags(CLI::App& app, ServeFlags& flags) {
  add_model_flags(app, flags);
  add_chat_flags(app, flags);
  add_scheduler_flags(app, flags);
  add_adapter_flags(app, flags);
  add_http_flags(app, flags);
  add_timeout_flags(app, flags);
  add_log_flags(app, flags);
  add_telemetry_flags(app, flags.telemetry, flags.options);
  app.add_flag("--compatibility", flags.compatibility,
               "Prints what of vLLM 0.32.0 this server has, as docs/compatibility.md, and ends");
  app.add_option("--config", "YAML file with flags; those of the command line go before them");
  for (const char* name : kOwnFlags) app.get_option(name)->group(kOwnGroup);
  add_unhonoured_flags(app, flags.unhonoured);
}

}  // namespace touchstone::cli
