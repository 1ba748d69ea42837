// The flags of `touchstone serve` about spans, logs, tenants and costs.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>

#include "reference_engine/server/serve.h"

namespace touchstone::cli {

/// As they were typed, where that differs from the options they become.
struct TelemetryFlags {
  telemetry::SpoolOptions spool;
  bool http_spans = false;
  std::optional<double> metrics_interval_s;
};

/// Both outlive `app`.
void add_telemetry_flags(CLI::App& app, TelemetryFlags& flags, server::ServeOptions& options);
/// After parsing.
void resolve_telemetry_flags(const TelemetryFlags& flags, server::ServeOptions& options);

}  // namespace touchstone::cli
