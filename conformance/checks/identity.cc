// Ids that are no ids, spans that came twice, requests that were recorded twice.
#include <algorithm>

#include "base/clock.h"
#include "base/text.h"
#include "conformance/checks/check.h"
#include "telemetry/redelivery.h"

namespace touchstone::conformance {
namespace {

void valid(const CheckInput&, const SpanView& view, Recorder& recorder) {
  recorder.examined();
  const bool trace = view.span->trace_id.is_valid();
  if (trace && view.span->span_id.is_valid()) return;
  const std::string which = trace ? "span id" : "trace id";
  recorder.violation(view, {.fold = which,
                            .message = "the " + which + " is all zero, which means no id",
                            .expected = "an id",
                            .actual = "zero"});
}

/// The strictest level of the profiles; nullopt: all of them allow copies without a mark.
std::optional<result::Level> redelivery_level(const CheckInput& input) {
  std::optional<result::Level> strictest;
  for (const auto& observed : input.profiles) {
    const auto level = observed->profile().redelivery;
    if (level) strictest = std::min(strictest.value_or(*level), *level);
  }
  return strictest;
}

void unique(const CheckInput& input, const SpanView& view, Recorder& recorder) {
  if (!view.span->span_id.is_valid()) return;
  recorder.examined();
  if (view.seen == SpanRegister::Seen::kNew) return;
  if (view.seen == SpanRegister::Seen::kDelivered) {
    const auto level = redelivery_level(input);
    if (!level || view.told) return;
    recorder.violation(view, {.level = *level,
                              .fold = "delivered twice",
                              .message = "the span was delivered more than once, and nothing says "
                                         "that it is a re-delivery",
                              .expected = "each span once, or a scope with " +
                                          std::string(telemetry::kRedeliveryKey),
                              .actual = "the same span again"});
    return;
  }
  recorder.violation(
      view, {.fold = "reused",
             .message = "the span id is that of another span, in trace " + view.first_trace.hex(),
             .expected = "each span id once",
             .actual = "another span with the id"});
}

void summarize_deliveries(const CheckInput& input, Recorder& recorder) {
  if (input.run.delivered_again > 0) {
    const int64_t told = input.run.told_again;
    recorder.summary(format_count(input.run.delivered_again) + " of the same spans came again" +
                     (told == 0 ? "" : ", " + format_count(told) + " of them marked as such"));
  }
}

void recorded_once(const CheckInput& input, const SpanView& view, Recorder& recorder) {
  if (!input.evidence.ledger) {
    recorder.not_applicable("no ledger: equal spans may be choices that ended together");
    return;
  }
  if (!view.is_request() || !view.is_first()) return;
  const auto id = view.text("request_id");
  if (!id) return;
  recorder.examined();
  // The choices of one request share its id and start. On a coarse clock those that end in one
  // engine step share the end too, and so many equal ones are no repetition; only the ledger knows
  // how many. On a clock that tells nanoseconds no two end alike.
  const bool fine = view.span->end_unix_ns % kNsPerUs != 0;
  const int64_t allowed = fine || view.request == nullptr ? 1 : view.request->all;
  if (view.twins == nullptr || view.twins->count <= allowed) return;
  recorder.violation(
      view, {.fold = "",
             .message = "request " + std::string(*id) + " was recorded twice: span " +
                        view.twins->first.hex() + " has the same trace, request id, start and end",
             .expected = "one span a completion",
             .actual = "two spans with different ids",
             .context = {{"request_id", std::string(*id)}}});
}

using enum CheckRow::Of;
constexpr CheckRow kRows[] = {
    {.id = "span.id.valid",
     .title = "Trace and span ids are ids",
     .group = "identity",
     .of = kRun,
     .source = "opentelemetry-proto v1.11.0, trace.proto: an id with all bytes zero is invalid.",
     .nothing = "no span",
     .on_span = valid},
    {.id = "span.id.unique",
     .title = "No span id twice",
     .group = "identity",
     .of = kRun,
     .source = "OTLP 1.11.0, Duplicate Data: a client may send the same data again, so a consumer "
               "must expect and count it.",
     .nothing = "no span",
     .on_span = unique,
     .at_end = summarize_deliveries},
    {.id = "span.request.once",
     .title = "No completion recorded by two spans",
     .group = "identity",
     .source = "Touchstone 0.1, invariant of spans: every finished request has exactly its spans.",
     .nothing = "no request span with a request id",
     .on_span = recorded_once}};

}  // namespace

CheckTable identity_checks() { return kRows; }

}  // namespace touchstone::conformance
