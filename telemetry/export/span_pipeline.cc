#include "telemetry/export/span_pipeline.h"

#include <utility>

namespace touchstone::telemetry {

SpanPipeline::SpanPipeline(std::vector<std::unique_ptr<Dialect>> dialects, uint64_t seed,
                           SpanExporter& exporter, SpanPolicy policy)
    : dialects_(std::move(dialects)), ids_(seed), exporter_(exporter), policy_(policy) {}

void SpanPipeline::on_request(const records::RequestRecord& record) {
  std::optional<records::RequestRecord> sampled;
  if (!policy_.sampler.is_default()) {
    sampled = policy_.sampler.decide(record);
    if (!sampled) return;
  }
  for (const std::unique_ptr<Dialect>& dialect : dialects_) {
    spans_.clear();
    dialect->append_spans(sampled ? *sampled : record, ids_, spans_);
    for (Span& span : spans_) policy_.limits.apply(span);
    if (!spans_.empty()) exporter_.submit_all(dialect->origin(), spans_);
  }
}

}  // namespace touchstone::telemetry
