// The table of backends.
#include "base/check.h"
#include "base/text.h"
#include "harness/backends/backend.h"

namespace touchstone::harness {

const std::vector<BackendKind>& backend_kinds() {
  static const std::vector<BackendKind> kKinds = {
      {"sink", "`touchstone sink`: http://HOST:16686", {}, true, make_jaeger_backend},
      {"jaeger",
       "Jaeger's query service, API v3: http://HOST:16686",
       {{"schema URLs", {"span.schema_url"}},
        {"(from storages other than memory) how many attributes, events and links the sender's "
         "limits threw away",
         {"span.dropped"}}},
       true,
       make_jaeger_backend},
      {"tempo",
       "Grafana Tempo: http://HOST:3200",
       {{"schema URLs", {"span.schema_url"}}, {"span flags", {"topology.remote_flag"}}},
       true,
       make_tempo_backend},
      {"signoz",
       "SigNoz: http://HOST:8080, with the header SIGNOZ-API-KEY",
       {{"types of numbers: all are floating point", {"span.attribute.type"}},
        {"types of resource attributes: all are text", {"resource.value"}},
        {"schema URLs", {"span.schema_url"}},
        {"how many attributes, events and links the sender's limits threw away", {"span.dropped"}},
        {"scopes", {"span.scope"}}},
       false,
       make_signoz_backend},
      {"ndjson",
       "a file with one JSON object a span, as serve --span-log writes: FILE",
       {{"kinds", {"span.kind"}},
        {"types of numbers that are whole", {"span.attribute.type"}},
        {"events and links", {"span.events", "span.links"}},
        {"schema URLs", {"span.schema_url"}},
        {"how many attributes, events and links the sender's limits threw away", {"span.dropped"}},
        {"flags", {"topology.remote_flag"}},
        {"resources but for service.name", {"resource", "coverage.window"}},
        {"scopes", {"span.scope"}}},
       false,
       make_span_log_backend},
      {"clickhouse",
       "tables of the Collector's ClickHouse exporter: http://HOST:8123/DATABASE[/TABLE]",
       {},
       true,
       nullptr},
  };
  return kKinds;
}

Result<BackendAddress> parse_backend(const std::string& text) {
  const size_t equals = text.find('=');
  std::vector<std::string> names;
  for (const BackendKind& kind : backend_kinds()) names.emplace_back(kind.name);
  BackendAddress address;
  address.kind = text.substr(0, equals);
  if (equals == std::string::npos || equals + 1 == text.size()) {
    return invalid_argument("--backend: got " + quote(text) + ", expected NAME=URL",
                            "NAME is one of " + join(names, ", "));
  }
  for (const std::string& name : names) {
    if (name != address.kind) continue;
    address.url = text.substr(equals + 1);
    while (address.url.ends_with('/')) address.url.pop_back();
    return address;
  }
  return invalid_argument("--backend: got " + quote(address.kind) + ", expected one of " +
                          join(names, ", "));
}

const BackendKind& kind_of(const BackendAddress& address) {
  for (const BackendKind& kind : backend_kinds()) {
    if (kind.name == address.kind) return kind;
  }
  BASE_CHECK(false, address.kind);
}

}  // namespace touchstone::harness
