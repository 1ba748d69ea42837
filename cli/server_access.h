// The flags for servers that want a key or speak https, the same for every verb that reaches one.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/access.h"

namespace touchstone::cli {

struct AccessFlags {
  std::string api_key;
  std::vector<std::string> headers;
  http::TlsOptions tls;
};

/// Adds --api-key, --header, --ca-file and --insecure. `flags` outlive the app.
void add_access_flags(CLI::App& app, AccessFlags& flags);

/// With the key of the flag, else of OPENAI_API_KEY, else of VLLM_API_KEY. ERRORS: kInvalidArgument
/// for a header without `:`.
Result<http::Access> resolve(const AccessFlags& flags, const std::string& verb);

/// `NAME: VALUE` each. ERRORS: kInvalidArgument, which begins with `where`.
Status add_headers(const std::vector<std::string>& headers, const std::string& where,
                   http::Access& access);

}  // namespace touchstone::cli
