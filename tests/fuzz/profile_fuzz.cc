// Profiles: any text is a profile or an error, never a crash; a profile that parses can judge.
#include <cstdint>
#include <string_view>

#include "conformance/judge.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace touchstone;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto profile = conformance::parse_profile("input.yaml", text);
  if (!profile) return 0;
  telemetry::Span span;
  span.name = "llm_request";
  span.kind = telemetry::SpanKind::kServer;
  span.attributes = {{"gen_ai.latency.e2e", 0.5}, {"gen_ai.request.id", "cmpl-1-0"}};
  telemetry::ResourceSpans group;
  group.scope_spans.resize(1);
  group.scope_spans[0].spans.push_back(span);
  conformance::Evidence evidence;
  evidence.spans = {{group}};
  evidence.ledger.emplace(1);
  (void)conformance::judge(evidence, {*profile}, {});
  return 0;
}
