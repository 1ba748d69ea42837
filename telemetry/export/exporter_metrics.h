// An exporter's own counters on a metrics page: what was lost on the way must not need a log to be
// seen. Names: touchstone_spans_*. Pure; thread-safe.
#pragma once

#include <string>

#include "telemetry/export/exporter.h"

namespace touchstone::telemetry {

/// Appends whole families in the Prometheus text format.
void render_exporter_metrics(const ExporterCounters& counters, std::string& page);

}  // namespace touchstone::telemetry
