// The span of vLLM 0.32.0, as recorded in fixtures/spans/vllm-0.32.0/spans.otlp.jsonl.
// Source: vllm/v1/engine/output_processor.py (do_tracing), vllm/tracing/otel.py.
#include "telemetry/dialects/vllm_span.h"

namespace touchstone::telemetry {
namespace {

class VllmDialect final : public Dialect {
 public:
  const SpanOrigin& origin() const override { return origin_; }

  void append_spans(const records::RequestRecord& record, SpanIds& ids,
                    std::vector<Span>& out) const override {
    if (vllm_traces(record)) out.push_back(vllm_span(record, ids));
  }

 private:
  const SpanOrigin origin_ = {
      .scope = {"vllm.tracing.otel", "", {}}, .schema_url = "", .resource = {}};
};

}  // namespace

DialectRow vllm_dialect() {
  return {"vllm", "exactly vLLM 0.32.0, its gaps included",
          [](const DialectOptions&) -> std::unique_ptr<Dialect> {
            return std::make_unique<VllmDialect>();
          }};
}

}  // namespace touchstone::telemetry
