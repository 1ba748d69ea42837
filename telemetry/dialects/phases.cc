// vLLM's span with what it leaves out: child spans for queue, prefill (one a chunk), decode and
// preemption, which tile it, and the kernels' execution under them. Source of the root: as vllm.cc;
// of the children: Touchstone 0.1, no convention has any.
#include <utility>

#include "base/clock.h"
#include "telemetry/dialects/phase_tiles.h"
#include "telemetry/dialects/request_span.h"
#include "telemetry/dialects/vllm_span.h"

namespace touchstone::telemetry {
namespace {

const char* name_of(Phase::Kind kind) {
  switch (kind) {
    case Phase::Kind::kFrontend:
      return "frontend";
    case Phase::Kind::kQueue:
      return "queue";
    case Phase::Kind::kPrefill:
      return "prefill";
    case Phase::Kind::kDecode:
      return "decode";
    case Phase::Kind::kPreempted:
      return "preempted";
  }
  return "";
}

void add_events(const records::RequestRecord& record, Span& root) {
  if (record.first_token_ns) {
    root.events.push_back({.time_unix_ns = unix_ns_of(record, *record.first_token_ns),
                           .name = "first_token",
                           .attributes = {}});
  }
  // It happens token by token: the event stands at its end and says how long it took in all.
  if (record.detokenize_ns) {
    const double seconds =
        static_cast<double>(*record.detokenize_ns) / static_cast<double>(kNsPerSecond);
    root.events.push_back(
        {.time_unix_ns = unix_ns_of(record, record.last_token_ns.value_or(record.finished_ns)),
         .name = "detokenize",
         .attributes = {{"touchstone.detokenize.duration", seconds}}});
  }
}

class PhasesDialect final : public Dialect {
 public:
  const SpanOrigin& origin() const override { return origin_; }

  void append_spans(const records::RequestRecord& record, SpanIds& ids,
                    std::vector<Span>& out) const override {
    if (!vllm_traces(record)) return;
    Span root = vllm_span(record, ids);
    add_events(record, root);
    int64_t chunk = 0;
    std::vector<Span> children;
    for (const Phase& phase : phases_of(record)) {
      Span span = child_span(root, record, name_of(phase.kind), phase.start_ns, phase.end_ns, ids);
      if (phase.kind == Phase::Kind::kPrefill) {
        span.attributes = {{"touchstone.prefill.chunk", chunk++},
                           {"touchstone.prefill.tokens", phase.tokens}};
      }
      if (phase.executes()) {
        children.push_back(child_span(span, record, "kernel_execution", phase.start_ns,
                                      phase.execution_end_ns, ids));
      }
      children.push_back(std::move(span));
    }
    out.push_back(std::move(root));
    for (Span& span : children) out.push_back(std::move(span));
  }

 private:
  const SpanOrigin origin_ = {
      .scope = {"touchstone.phases", "1", {}}, .schema_url = "", .resource = {}};
};

}  // namespace

DialectRow phases_dialect() {
  return {"phases", "vllm's span and where its time went, as child spans",
          [](const DialectOptions&) -> std::unique_ptr<Dialect> {
            return std::make_unique<PhasesDialect>();
          }};
}

}  // namespace touchstone::telemetry
