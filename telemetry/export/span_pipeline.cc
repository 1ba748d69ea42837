#include "telemetry/export/span_pipeline.h"

#include <utility>

namespace touchstone::telemetry {

SpanPipeline::SpanPipeline(std::vector<std::unique_ptr<Dialect>> dialects, uint64_t seed,
                           SpanExporter& exporter)
    : dialects_(std::move(dialects)), ids_(seed), exporter_(exporter) {}

void SpanPipeline::on_request(const records::RequestRecord& record) {
  for (const std::unique_ptr<Dialect>& dialect : dialects_) {
    spans_.clear();
    dialect->append_spans(record, ids_, spans_);
    for (Span& span : spans_) exporter_.submit(dialect->origin(), std::move(span));
  }
}

}  // namespace touchstone::telemetry
