#include "cli/serve.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/clock.h"
#include "base/document.h"
#include "base/environment.h"
#include "base/text.h"
#include "cli/compatibility.h"
#include "cli/serve_arguments.h"
#include "cli/serve_environment.h"
#include "cli/serve_flags.h"
#include "reference_engine/backend/plugin_backend.h"
#include "reference_engine/backend/plugin_search.h"
#include "reference_engine/backend/registry.h"
#include "reference_engine/model/hub_cache.h"
#include "reference_engine/server/line_output.h"
#include "reference_engine/server/serve.h"

namespace touchstone::cli {
namespace {

using server::ServeOptions;

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

bool say(const std::string& line) {
  static server::LineOutput errors(STDERR_FILENO);
  return errors.write("touchstone serve: " + line);
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

/// A JSON list of texts.
Status read_list(const char* flag, const std::string& text, std::vector<std::string>& list) {
  const nlohmann::json tree = nlohmann::json::parse(text, nullptr, false);
  const auto is_text = [](const auto& item) { return item.is_string(); };
  if (!tree.is_array() || !std::all_of(tree.begin(), tree.end(), is_text)) {
    return invalid_argument(std::string(flag) + ": got " + quote(text) +
                            ", expected a JSON list of texts such as '[\"*\"]'");
  }
  list = tree.get<std::vector<std::string>>();
  return {};
}

/// --structured-outputs-config, whose keys may come one by one.
Status read_structured_outputs(const std::vector<std::string>& given, ServeOptions& options) {
  for (const std::string& text : given) {
    auto document = Document::parse_json("--structured-outputs-config", text);
    if (!document) return std::move(document).error();
    const Fields root = document->root();
    const std::string backend = root.optional_string("backend").value_or("auto");
    if (backend != "auto" && backend != "xgrammar") {
      root.fail("backend", "got " + quote(backend) + ", expected auto or xgrammar");
    }
    options.disable_any_whitespace =
        root.optional_bool("disable_any_whitespace").value_or(options.disable_any_whitespace);
    RETURN_IF_ERROR(document->finish());
  }
  return {};
}

/// The folder of the model, and of its tokenizer.
Status resolve_model(const ServeFlags& flags, ServeOptions& options) {
  if (!flags.model_argument.empty() && !flags.model_flag.empty() &&
      flags.model_argument != flags.model_flag) {
    return invalid_argument("model: got " + quote(flags.model_argument) + " and --model " +
                            quote(flags.model_flag) + ", expected one");
  }
  options.model_name = flags.model_argument.empty() ? flags.model_flag : flags.model_argument;
  if (options.model_name.empty()) {
    return invalid_argument("model: got none, expected the folder of a model",
                            "touchstone serve fixtures/models/touchstone-tiny");
  }
  const auto folder_of = [&](const std::string& name) {
    return model::find_model({.name = name,
                              .revision = flags.revision,
                              .download_dir = flags.download_dir,
                              .environment = options.environment});
  };
  auto folder = folder_of(options.model_name);
  if (!folder) return std::move(folder).error();
  options.model = *std::move(folder);
  if (options.tokenizer.empty()) return {};
  folder = folder_of(options.tokenizer);
  if (!folder) return std::move(folder).error().with_context("--tokenizer");
  options.tokenizer = *std::move(folder);
  return {};
}

Status resolve(ServeFlags& flags) {
  ServeOptions& options = flags.options;
  options.environment = read_environment(environ);
  options.process_id = getpid();
  RETURN_IF_ERROR(check_unhonoured(flags.unhonoured, [](const std::string& line) { say(line); }));
  RETURN_IF_ERROR(apply_environment(flags.fail_on_environment, options,
                                    [](const std::string& line) { say(line); }));
  RETURN_IF_ERROR(read_structured_outputs(flags.structured_outputs_config, options));
  RETURN_IF_ERROR(read_list("--allowed-origins", flags.allowed_origins, options.cors.origins));
  RETURN_IF_ERROR(read_list("--allowed-methods", flags.allowed_methods, options.cors.methods));
  RETURN_IF_ERROR(read_list("--allowed-headers", flags.allowed_headers, options.cors.headers));
  RETURN_IF_ERROR(resolve_model(flags, options));
  std::error_code ignored;
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
  options.serve_openapi = !flags.disable_docs;
  RETURN_IF_ERROR(resolve_listen_flags(flags.listen, options));
  if (!flags.quiet_paths.empty()) options.log.quiet_paths = split(flags.quiet_paths, ',');
  resolve_telemetry_flags(flags.telemetry, options);
  options.shutdown_timeout_ns = static_cast<int64_t>(flags.shutdown_timeout_s * 1e9);
  return {};
}

Exit run_serve(const CLI::App& app, ServeFlags& flags) {
  if (flags.compatibility) {
    std::fputs(compatibility_text(app).c_str(), stdout);
    return Exit::kGood;
  }
  if (const Status status = resolve(flags); !status) return report_error(status.error());
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
            add_serve_flags(app, *flags);
            return [&app, flags] { return run_serve(app, *flags); };
          },
          .rewrite = serve_arguments};
}

}  // namespace touchstone::cli
