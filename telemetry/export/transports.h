// The table of transports: which protocols an exporter can speak. A new one is one file and one
// row. Thread-safe.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "telemetry/export/exporter.h"
#include "telemetry/export/otlp_options.h"
#include "telemetry/export/span_spool.h"

namespace touchstone::telemetry {

struct TransportRow {
  std::string_view protocol;  ///< as OTEL_EXPORTER_OTLP_TRACES_PROTOCOL names it
  Result<std::unique_ptr<Transport>> (*make)(const OtlpOptions& options);
};
const std::vector<TransportRow>& transport_rows();

/// What `options.protocol` names. ERRORS: kInvalidArgument for another protocol; those of the
/// transport.
Result<std::unique_ptr<Transport>> make_otlp_transport(const OtlpOptions& options);

/// A BatchExporter over the transport that `options.protocol` names. `clock` outlives it.
/// ERRORS: those of make_otlp_transport().
Result<std::unique_ptr<SpanExporter>> make_otlp_exporter(const OtlpOptions& options,
                                                         Resource resource, const Clock& clock);
/// The same with a spool as its queue: a SpoolExporter. ERRORS: also those of SpanSpool::open().
Result<std::unique_ptr<SpanExporter>> make_spooled_exporter(const OtlpOptions& options,
                                                            const SpoolOptions& spool,
                                                            Resource resource, const Clock& clock);

}  // namespace touchstone::telemetry
