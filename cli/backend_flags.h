// The flags that say which backends spans are read back from, the same for every verb that does.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "harness/backends/backend.h"

namespace touchstone::cli {

struct BackendFlags {
  std::vector<std::string> backends;
  std::vector<std::string> headers;
};

/// Adds --backend and --backend-header. `flags` outlive the app.
void add_backend_flags(CLI::App& app, BackendFlags& flags);

/// With the headers of TOUCHSTONE_BACKEND_HEADERS (`key=value,key=value`, percent-encoded) before
/// those of the flag. `tls`: for https. ERRORS: kInvalidArgument.
Result<std::vector<harness::BackendAddress>> resolve(const BackendFlags& flags,
                                                     const http::TlsOptions& tls);

}  // namespace touchstone::cli
