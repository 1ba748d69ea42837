#include "cli/serve.h"

#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <map>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/environment.h"
#include "base/text.h"
#include "cli/config_flags.h"
#include "cli/duration_flag.h"
#include "cli/serve_telemetry_flags.h"
#include "reference_engine/backend/plugin_backend.h"
#include "reference_engine/backend/plugin_search.h"
#include "reference_engine/backend/registry.h"
#include "reference_engine/server/line_output.h"
#include "reference_engine/server/serve.h"

namespace touchstone::cli {
namespace {

using server::ServeOptions;

/// The flags as they were typed, where that differs from the options they become.
struct ServeFlags {
  ServeOptions options;
  std::string model_argument;
  std::string model_flag;
  std::string max_model_len;
  scheduler::FieldValues scheduler;
  std::optional<int64_t> kv_cache_memory_bytes;
  std::string quiet_paths;
  TelemetryFlags telemetry;
  std::vector<std::string> backend_plugins;
  double shutdown_timeout_s = 30;
  int port = 8000;
  std::map<std::string, std::vector<std::string>> unimplemented;  // by flag, its values
};

/// vLLM's flags that we know and that do nothing here. `harmless`: values with which the flag may
/// stand, because they cannot change a result; they are accepted aloud. Everything else is refused
/// with the reason.
struct UnimplementedFlag {
  const char* name;
  enum class Kind { kSwitch, kValue } kind;
  std::vector<std::string> harmless;  // "*": any; a switch has the value "true"
  const char* reason;
};

const std::vector<UnimplementedFlag>& unimplemented_flags() {
  using Kind = UnimplementedFlag::Kind;
  static const std::vector<UnimplementedFlag> kFlags = {
      {"--collect-detailed-traces",
       Kind::kValue,
       {"*"},
       "it has no effect in vLLM's V1 engine either"},
      {"--trust-remote-code", Kind::kSwitch, {"*"}, "no code is ever loaded from a model folder"},
      {"--disable-fastapi-docs", Kind::kSwitch, {"*"}, "there are no such pages"},
      {"--enable-log-requests", Kind::kSwitch, {}, "use --request-log FILE"},
      {"--no-enable-log-requests",
       Kind::kSwitch,
       {"*"},
       "requests are logged by --request-log only"},
      {"--uvicorn-log-level", Kind::kValue, {"*"}, "the server is not uvicorn"},
      {"--tokenizer-mode", Kind::kValue, {"auto", "hf"}, "there is one tokenizer"},
      {"--kv-cache-dtype", Kind::kValue, {"auto"}, "keys and values have the model's type"},
      {"--prefix-caching-hash-algo",
       Kind::kValue,
       {"*"},
       "blocks are hashed with our own function"},
      {"--tensor-parallel-size", Kind::kValue, {"1"}, "the model is not split"},
      {"--pipeline-parallel-size", Kind::kValue, {"1"}, "the model is not split"},
      {"--data-parallel-size", Kind::kValue, {"1"}, "one engine per process"},
      {"--api-server-count", Kind::kValue, {"1"}, "one server per process"},
      {"--stream-interval", Kind::kValue, {"1"}, "every token is sent when it is there"},
      {"--logprobs-mode",
       Kind::kValue,
       {"raw_logprobs"},
       "log-probabilities are of the raw logits"},
      {"--fingerprint-mode", Kind::kValue, {"full"}, "the fingerprint is always sent"},
      {"--enable-lora", Kind::kSwitch, {}, "LoRA adapters are not served"},
      {"--lora-modules", Kind::kValue, {}, "LoRA adapters are not served"},
      {"--max-loras", Kind::kValue, {}, "LoRA adapters are not served"},
      {"--max-lora-rank", Kind::kValue, {}, "LoRA adapters are not served"},
      {"--quantization", Kind::kValue, {"none", "None"}, "quantized weights are not read"},
      {"--speculative-config", Kind::kValue, {}, "there is no speculative decoding"},
      {"--enable-auto-tool-choice", Kind::kSwitch, {}, "tool calls are not parsed"},
      {"--tool-call-parser", Kind::kValue, {}, "tool calls are not parsed"},
      {"--reasoning-parser", Kind::kValue, {}, "reasoning is not parsed"},
      {"--override-generation-config",
       Kind::kValue,
       {},
       "put the defaults into a folder and name it "
       "with --generation-config"},
      {"--max-num-queued-tokens", Kind::kValue, {}, "use --max-num-queued-reqs"},
      {"--kv-cache-metrics", Kind::kSwitch, {}, "block residency is not sampled"},
      {"--enable-mfu-metrics", Kind::kSwitch, {}, "flops are not estimated"},
      {"--enable-per-request-metrics", Kind::kSwitch, {}, "use --request-log FILE"},
      {"--kv-transfer-config", Kind::kValue, {}, "there is no KV connector"},
      {"--ssl-keyfile", Kind::kValue, {}, "TLS belongs to a proxy in front"},
      {"--ssl-certfile", Kind::kValue, {}, "TLS belongs to a proxy in front"},
      {"--root-path", Kind::kValue, {}, "paths are served as they are"},
      {"--uds", Kind::kValue, {}, "the server listens on TCP"},
      {"--middleware", Kind::kValue, {}, "the server is not Python"},
  };
  return kFlags;
}

/// "4096", "1k", "1.5M", "32K", "auto", "-1": decimal k m g t, binary K M G T.
Result<int64_t> parse_length(const std::string& text) {
  if (text == "auto" || text == "-1") return int64_t{-1};
  static const std::map<char, double> kUnits = {{'k', 1e3},    {'m', 1e6},    {'g', 1e9},
                                                {'t', 1e12},   {'K', 0x1p10}, {'M', 0x1p20},
                                                {'G', 0x1p30}, {'T', 0x1p40}};
  std::string_view digits = text;
  double unit = 1;
  if (!digits.empty()) {
    if (const auto found = kUnits.find(digits.back()); found != kUnits.end()) {
      unit = found->second;
      digits.remove_suffix(1);
    }
  }
  const std::optional<double> number = parse_double(digits);
  const double value = number ? *number * unit : 0;
  if (!number || !(value >= 1) || value > 1e15 || value != std::floor(value)) {
    return invalid_argument("--max-model-len: got " + quote(text) +
                            ", expected a number of tokens such as 4096, 8k or 32K, or auto");
  }
  return static_cast<int64_t>(value);
}

/// A flag that only some backends know; one that knows it checks the value.
void add_backend_setting(CLI::App& app, ServeOptions& options, const std::string& name,
                         const std::string& help) {
  app.add_option_function<std::string>(
      "--" + name,
      [&options, name](const std::string& value) { options.backend_settings[name] = value; }, help);
}

void add_model_flags(CLI::App& app, ServeFlags& flags) {
  ServeOptions& options = flags.options;
  app.add_option("model_tag", flags.model_argument, "Folder of the model (Hugging Face layout)");
  app.add_option("--model", flags.model_flag, "The same as a flag");
  app.add_option("--served-model-name", options.served_model_names,
                 "Names that clients may use; answers carry the first. Default: the folder")
      ->expected(1, CLI::detail::expected_max_vector_size);
  app.add_option("--dtype", options.dtype, "Type of weights and activations")
      ->check(CLI::IsMember({"auto", "bfloat16", "float32", "float", "float16", "half"}))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Seeds every request that brings no seed")
      ->capture_default_str();
  app.add_option("--chat-template", options.chat_template,
                 "Chat template: a file, or the template itself. Default: the model's");
  app.add_option("--generation-config", options.generation_config,
                 "Where sampling defaults come from: auto (the model), vllm (none), or a folder")
      ->capture_default_str();
  app.add_option("--max-logprobs", options.max_logprobs,
                 "Most log-probabilities per token; -1: no limit")
      ->check(CLI::Range(-1, 1 << 20))
      ->capture_default_str();
  app.add_option("--max-choices", options.max_choices, "Most choices, prompts x n, of one request")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  app.add_option("--load-format", options.load_format,
                 "Where weights come from: auto, safetensors, or dummy (random, of --seed)")
      ->check(CLI::IsMember({"auto", "safetensors", "dummy"}))
      ->capture_default_str();
  app.add_option("--device", options.device,
                 "Backend that computes: cpu, cuda, or auto, the best that can run here")
      ->capture_default_str();
  app.add_option("--backend-plugin", flags.backend_plugins,
                 "Shared object with a backend; it stands before those of this program");
  add_backend_setting(app, options, "kernels",
                      "CPU kernels: avx512, avx2 or portable. Default: the best of this machine");
  add_backend_setting(app, options, "threads",
                      "Threads of the backend. Default: one per processor");
  add_backend_setting(app, options, "gemm",
                      "Matrix products on a GPU: cublaslt or kernels, the project's own. "
                      "Default: cublaslt");
  add_backend_setting(app, options, "gpu-memory-utilization",
                      "Part of a GPU's memory for weights, KV and everything else. Default: 0.92");
  app.add_flag_callback(
      "--enforce-eager", [&options] { options.backend_settings["enforce-eager"] = "true"; },
      "No CUDA graphs");
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
  add_config_flags(app,
                   {.defaults = {.block_size = 128},
                    .else_than_default = "",
                    .left_out = {"num_blocks", "max_model_len", "max_loras"}},
                   flags.scheduler);
  app.add_option("--watermark", options.watermark, "Part of the blocks that admission leaves free")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--max-num-queued-reqs", options.max_num_queued_reqs,
                 "Most completions that wait; beyond it 503. Default: no limit")
      ->check(CLI::Range(int64_t{0}, INT64_MAX));
}

void add_http_flags(CLI::App& app, ServeFlags& flags) {
  ServeOptions& options = flags.options;
  const auto size = CLI::Range(int64_t{1}, int64_t{1} << 40);
  app.add_option("--host", options.http.host, "Address to listen on. Default: all");
  app.add_option("--port", flags.port, "Port to listen on; 0: any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option("--port-file", options.port_file,
                 "File that gets the port once the server is ready");
  app.add_option("--api-key", options.api_keys,
                 "Keys that clients must send under /v1. Default: VLLM_API_KEY, else none")
      ->expected(1, CLI::detail::expected_max_vector_size);
  app.add_option("--shutdown-timeout", flags.shutdown_timeout_s,
                 "Seconds that running requests get after SIGTERM; then they are aborted")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  app.add_flag("--enable-prompt-tokens-details", options.enable_prompt_tokens_details,
               "Usage says how many prompt tokens were cached");
  app.add_flag("--enable-force-include-usage", options.enable_force_include_usage,
               "Streams always end with usage");
  app.add_flag("--enable-request-id-headers", options.enable_request_id_headers,
               "Answers carry X-Request-Id");
  app.add_flag("--enable-server-load-tracking", options.enable_server_load_tracking,
               "/load counts requests");
  app.add_flag("--return-tokens-as-token-ids", options.return_tokens_as_token_ids,
               "Log-probabilities name tokens as token_id:N");
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
}

void add_unimplemented_flags(CLI::App& app, ServeFlags& flags) {
  for (const UnimplementedFlag& flag : unimplemented_flags()) {
    std::vector<std::string>& values = flags.unimplemented[flag.name];
    if (flag.kind == UnimplementedFlag::Kind::kSwitch) {
      app.add_flag_function(flag.name, [&values](int64_t) { values.emplace_back("true"); })
          ->group("");
    } else {
      app.add_option(flag.name, values)->group("")->expected(0, 64);
    }
  }
}

bool say(const std::string& line) {
  static server::LineOutput errors(STDERR_FILENO);
  return errors.write("touchstone serve: " + line);
}

Status check_unimplemented(const CLI::App& app, const ServeFlags& flags) {
  for (const UnimplementedFlag& flag : unimplemented_flags()) {
    if (app.count(flag.name) == 0) continue;
    for (const std::string& value : flags.unimplemented.at(flag.name)) {
      bool harmless = false;
      for (const std::string& word : flag.harmless) harmless |= word == "*" || word == value;
      if (!harmless) {
        return invalid_argument(std::string(flag.name) + ": not implemented: " + flag.reason);
      }
    }
    if (flag.harmless.empty()) {
      return invalid_argument(std::string(flag.name) + ": not implemented: " + flag.reason);
    }
    say(std::string(flag.name) + ": accepted without effect: " + flag.reason);
  }
  return {};
}

/// Nothing when nobody said how much.
Result<std::optional<int64_t>> kv_cache_bytes(const ServeFlags& flags) {
  if (flags.kv_cache_memory_bytes) return flags.kv_cache_memory_bytes;
  constexpr double kGiB = 0x1p30;
  const auto space = lookup(flags.options.environment, "VLLM_CPU_KVCACHE_SPACE");
  if (!space) return std::optional<int64_t>();
  const std::optional<double> gib = parse_double(*space);
  if (!gib || !(*gib > 0) || *gib > 0x1p20) {
    return invalid_argument("VLLM_CPU_KVCACHE_SPACE: got " + quote(*space) +
                            ", expected a number of GiB");
  }
  return std::optional<int64_t>(static_cast<int64_t>(*gib * kGiB));
}

Status resolve(const CLI::App& app, ServeFlags& flags) {
  ServeOptions& options = flags.options;
  options.environment = read_environment(environ);
  options.process_id = getpid();
  RETURN_IF_ERROR(check_unimplemented(app, flags));
  if (!flags.model_argument.empty() && !flags.model_flag.empty() &&
      flags.model_argument != flags.model_flag) {
    return invalid_argument("model: got " + quote(flags.model_argument) + " and --model " +
                            quote(flags.model_flag) + ", expected one");
  }
  options.model = flags.model_argument.empty() ? flags.model_flag : flags.model_argument;
  if (options.model.empty()) {
    return invalid_argument("model: got none, expected the folder of a model",
                            "touchstone serve fixtures/models/touchstone-tiny");
  }
  std::error_code ignored;
  if (!std::filesystem::is_directory(options.model, ignored)) {
    return not_found(options.model + ": no such model folder",
                     "give a folder with config.json, model.safetensors and tokenizer.json; models "
                     "are not downloaded");
  }
  if (options.generation_config != "auto" && options.generation_config != "vllm" &&
      !std::filesystem::is_directory(options.generation_config, ignored)) {
    return invalid_argument("--generation-config: got " + quote(options.generation_config) +
                            ", expected auto, vllm, or a folder with generation_config.json");
  }
  if (!flags.max_model_len.empty()) {
    const Result<int64_t> length = parse_length(flags.max_model_len);
    if (!length) return length.error();
    options.max_model_len = *length;
  }
  if (options.dtype == "float") options.dtype = "float32";
  if (options.dtype == "half") options.dtype = "float16";
  options.scheduler = flags.scheduler;
  const Result<std::optional<int64_t>> bytes = kv_cache_bytes(flags);
  if (!bytes) return bytes.error();
  options.kv_cache_bytes = *bytes;
  options.http.port = static_cast<uint16_t>(flags.port);
  if (!flags.quiet_paths.empty()) options.log.quiet_paths = split(flags.quiet_paths, ',');
  resolve_telemetry_flags(flags.telemetry, options);
  options.shutdown_timeout_ns = static_cast<int64_t>(flags.shutdown_timeout_s * 1e9);
  if (const auto key = lookup(options.environment, "VLLM_API_KEY");
      key && options.api_keys.empty()) {
    options.api_keys = {*key};
  }
  return {};
}

Exit run_serve(const CLI::App& app, ServeFlags& flags) {
  if (const Status status = resolve(app, flags); !status) return report_error(status.error());
  // A client or a log reader that goes away is an error of one write, not the end of the server.
  std::signal(SIGPIPE, SIG_IGN);
  const RealClock clock;
  backend::Registry backends = backend::linked_backends();
  backends.add_first(backend::searched_plugin("cuda", "libtouchstone_cuda.so",
                                              backend::plugin_folders(flags.options.environment)));
  for (const std::string& path : flags.backend_plugins) {
    auto plugin = backend::load_plugin(path);
    if (!plugin) return report_error(plugin.error());
    backends.add_first(*std::move(plugin));
  }
  const Result<server::ServeEnd> end = server::serve(flags.options, backends, clock, say);
  if (!end) return report_error(end.error());
  return *end == server::ServeEnd::kStopped ? Exit::kGood : Exit::kUndecided;
}

}  // namespace

Verb serve_verb() {
  return {.name = "serve",
          .summary = "Serve a model behind vLLM's HTTP API",
          .example =
              "touchstone serve fixtures/models/touchstone-tiny --port 8000 "
              "--served-model-name tiny",
          .setup = [](CLI::App& app) -> std::function<Exit()> {
            // Shared: CLI11 keeps pointers into it, and the returned function runs later.
            const auto flags = std::make_shared<ServeFlags>();
            add_model_flags(app, *flags);
            add_scheduler_flags(app, *flags);
            add_http_flags(app, *flags);
            add_timeout_flags(app, *flags);
            add_log_flags(app, *flags);
            add_telemetry_flags(app, flags->telemetry, flags->options);
            add_unimplemented_flags(app, *flags);
            return [&app, flags] { return run_serve(app, *flags); };
          }};
}

}  // namespace touchstone::cli
