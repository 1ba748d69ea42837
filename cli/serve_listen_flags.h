// The flags of `touchstone serve` about where it listens, and TLS.
#pragma once

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "reference_engine/server/serve.h"

namespace touchstone::cli {

/// As they were typed, where that differs from the options they become.
struct ListenFlags {
  int port = 8000;
  http::ServerTlsOptions tls;
  int certificate_wanted = 0;  ///< of clients, as Python's ssl module numbers it
};

/// Both outlive `app`.
void add_listen_flags(CLI::App& app, ListenFlags& flags, server::ServeOptions& options);
/// After parsing. ERRORS: kInvalidArgument: settings or files that do not fit.
Status resolve_listen_flags(const ListenFlags& flags, server::ServeOptions& options);

}  // namespace touchstone::cli
