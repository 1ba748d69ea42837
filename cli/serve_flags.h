// The flags of `touchstone serve`: those that it honours, registered here, and vLLM's other ones
// (unhonoured_flags.h). Thread-compatible.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/serve_listen_flags.h"
#include "cli/serve_telemetry_flags.h"
#include "cli/unhonoured_flags.h"
#include "reference_engine/server/serve.h"

namespace touchstone::cli {

/// The group in the help of the flags that vLLM does not have.
inline constexpr const char* kOwnGroup = "Beyond vLLM";

/// The flags as they were typed, where that differs from the options they become.
struct ServeFlags {
  server::ServeOptions options;
  std::string model_argument;
  std::string model_flag;
  std::string max_model_len;
  scheduler::FieldValues scheduler;
  std::optional<int64_t> kv_cache_memory_bytes;
  std::string quiet_paths;
  TelemetryFlags telemetry;
  std::vector<std::string> backend_plugins;
  std::string revision = "main";
  std::string download_dir;
  std::string allowed_origins = "[]";  // JSON lists of texts
  std::string allowed_methods = "[\"*\"]";
  std::string allowed_headers = "[\"*\"]";
  std::vector<std::string> structured_outputs_config;
  bool fail_on_environment = false;
  bool disable_docs = false;
  bool compatibility = false;  ///< prints what of vLLM is there, and ends
  double shutdown_timeout_s = 30;
  ListenFlags listen;
  UnhonouredValues unhonoured;
};

/// `flags` outlives the parsing.
void add_serve_flags(CLI::App& app, ServeFlags& flags);

}  // namespace touchstone::cli
