// What a sender's limits threw away before it sent the rest.
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

void dropped(const CheckInput&, const SpanView& view, Recorder& recorder) {
  if (view.other_service) return;
  recorder.examined();
  const auto look = [&](const char* what, uint32_t count) {
    if (count == 0) return;
    recorder.violation(view, {.fold = view.span->name + what,
                              .message = "the sender dropped " + std::to_string(count) + " " + what,
                              .expected = "0",
                              .actual = std::to_string(count),
                              .context = {{"what", what}}});
  };
  const telemetry::Span& span = *view.span;
  look("attributes of the span", span.dropped_attributes_count);
  look("events of the span", span.dropped_events_count);
  look("links of the span", span.dropped_links_count);
  for (const telemetry::Event& event : span.events) {
    look("attributes of an event", event.dropped_attributes_count);
  }
  for (const telemetry::Link& link : span.links) {
    look("attributes of a link", link.dropped_attributes_count);
  }
  look("attributes of the scope", view.scope->dropped_attributes_count);
  look("attributes of the resource", view.resource->dropped_attributes_count);
}

constexpr CheckRow kRows[] = {
    {.id = "span.dropped",
     .title = "Nothing was dropped by the sender's limits",
     .group = "coverage",
     .of = CheckRow::Of::kRun,
     .source = "opentelemetry-proto v1.11.0, trace.proto, dropped_attributes_count: 0 means that "
               "none were dropped.",
     .nothing = "no span of the service under test",
     .on_span = dropped}};

}  // namespace

CheckTable dropped_checks() { return kRows; }

}  // namespace touchstone::conformance
