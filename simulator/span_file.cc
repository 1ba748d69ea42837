#include "simulator/span_file.h"

#include <utility>

#include "telemetry/otlp/json.h"
#include "telemetry/resource.h"

namespace touchstone::simulator {
namespace {

constexpr size_t kSpansInALine = 512;  // as the engine's exporter batches them

/// A seed of its own for each server.
uint64_t seed_of(uint64_t seed, int32_t server) {
  uint64_t state = seed + static_cast<uint64_t>(server);
  return splitmix64(state);
}

}  // namespace

Result<std::unique_ptr<SpanFile>> SpanFile::open(const std::string& path, uint64_t seed,
                                                 int32_t server) {
  auto lines = LineWriter::open(path);
  if (!lines) return std::move(lines).error();
  const uint64_t own_seed = seed_of(seed, server);
  telemetry::ResourceResult made =
      telemetry::make_vllm_resource({.instance_id = telemetry::instance_id(own_seed),
                                     .process_id = server + 1,
                                     .environment = {{"OTEL_SERVICE_NAME", "simulated"}}});
  auto dialect = telemetry::vllm_dialect().make({});
  return std::unique_ptr<SpanFile>(
      new SpanFile(std::move(*lines), std::move(dialect), std::move(made.resource), own_seed));
}

SpanFile::SpanFile(std::unique_ptr<LineWriter> lines, std::unique_ptr<telemetry::Dialect> dialect,
                   telemetry::Resource resource, uint64_t seed)
    : lines_(std::move(lines)),
      dialect_(std::move(dialect)),
      resource_(std::move(resource)),
      ids_(seed) {}

Status SpanFile::add(const records::RequestRecord& record) {
  dialect_->append_spans(record, ids_, spans_);
  return spans_.size() < kSpansInALine ? Status() : write_batch();
}

Status SpanFile::finish() {
  if (!spans_.empty()) RETURN_IF_ERROR(write_batch());
  return lines_->close();
}

Status SpanFile::write_batch() {
  const telemetry::SpanOrigin& origin = dialect_->origin();
  telemetry::ResourceSpans group{resource_, "", {}};
  group.resource.attributes.insert(group.resource.attributes.end(), origin.resource.begin(),
                                   origin.resource.end());
  group.scope_spans.push_back({origin.scope, origin.schema_url, std::exchange(spans_, {})});
  telemetry::TraceBatch batch;
  batch.push_back(std::move(group));
  return lines_->write(telemetry::encode_otlp_json(batch));
}

}  // namespace touchstone::simulator
