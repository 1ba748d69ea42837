#include "telemetry/export/transports.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/text.h"
#include "telemetry/export/batch_exporter.h"
#include "telemetry/export/otlp_grpc_transport.h"
#include "telemetry/export/otlp_http_transport.h"
#include "telemetry/export/spool_exporter.h"

namespace touchstone::telemetry {

const std::vector<TransportRow>& transport_rows() {
  static const std::vector<TransportRow> kRows = {{"grpc", make_otlp_grpc_transport},
                                                  {"http/protobuf", make_otlp_http_transport},
                                                  {"http/json", make_otlp_http_json_transport}};
  return kRows;
}

Result<std::unique_ptr<Transport>> make_otlp_transport(const OtlpOptions& options) {
  const auto& rows = transport_rows();
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const TransportRow& each) {
    return each.protocol == options.protocol;
  });
  if (row != rows.end()) return row->make(options);
  std::vector<std::string> known;
  for (const TransportRow& each : rows) known.emplace_back(each.protocol);
  return invalid_argument(std::string("OTEL_EXPORTER_OTLP_") + variable_word(options.signal) +
                          "_PROTOCOL: got " + quote(options.protocol) +
                          ", expected one of: " + join(known, ", "));
}

Result<std::unique_ptr<SpanExporter>> make_otlp_exporter(const OtlpOptions& options,
                                                         Resource resource, const Clock& clock) {
  auto transport = make_otlp_transport(options);
  if (!transport) return std::move(transport).error();
  std::unique_ptr<SpanExporter> exporter = std::make_unique<BatchExporter>(
      std::move(resource), options.batch, *std::move(transport), clock);
  return exporter;
}

Result<std::unique_ptr<SpanExporter>> make_spooled_exporter(const OtlpOptions& options,
                                                            const SpoolOptions& spool,
                                                            Resource resource, const Clock& clock) {
  auto transport = make_otlp_transport(options);
  if (!transport) return std::move(transport).error();
  auto opened = SpanSpool::open(spool);
  if (!opened) return std::move(opened).error();
  std::unique_ptr<SpanExporter> exporter = std::make_unique<SpoolExporter>(
      std::move(resource), options.batch, *std::move(opened), *std::move(transport), clock);
  return exporter;
}

}  // namespace touchstone::telemetry
