// Was there anything to judge, and could all of it be read?
#include "base/text.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

void spans_received(const CheckInput& input, Recorder& recorder) {
  bool wants_spans = false;
  for (const auto& observed : input.profiles) wants_spans |= !observed->profile().spans.empty();
  if (!wants_spans) return;
  if (input.run.spans == 0) {
    recorder.undecided("no span was received: nothing can be said about the subject");
    return;
  }
  recorder.examined(input.run.spans);
  for (const auto& observed : input.profiles) {
    if (!observed->compiled.has_request_type() || observed->request_spans > 0) continue;
    recorder.undecided(format_count(input.run.spans) +
                       " spans were received, none of them a request's" +
                       (input.profiles.size() == 1 ? "" : " to " + observed->profile().name));
  }
  recorder.summary(format_count(input.run.spans) + " spans");
}

void readable(const CheckInput& input, Recorder& recorder) {
  const Evidence& evidence = input.evidence;
  const auto listed = static_cast<int64_t>(evidence.span_problems.size());
  recorder.examined(input.run.spans + listed + evidence.span_problems_unlisted);
  const auto add = [&](const std::string& problem, const std::string& file) {
    recorder.violation({.fold = problem,
                        .subject = "span input",
                        .message = "the input cannot be read here: " + problem,
                        .expected = "well-formed OTLP",
                        .actual = problem,
                        .context = {{"file", file}}});
  };
  for (const std::string& problem : evidence.span_problems) {
    add(problem, problem.substr(0, problem.find(": ")));
  }
  if (evidence.span_problems_unlisted > 0) {
    add(format_count(evidence.span_problems_unlisted) + " more problems", "");
  }
}

constexpr CheckRow kRows[] = {
    {.id = "input.received",
     .title = "Telemetry was received",
     .group = "input",
     .of = CheckRow::Of::kRun,
     .source = "Touchstone 0.1: zero telemetry is never a pass.",
     .nothing = "the profile has no span types",
     .at_end = spans_received},
    {.id = "input.readable",
     .title = "Every line of the span input can be read",
     .group = "input",
     .of = CheckRow::Of::kRun,
     .source = "OTLP 1.11.0, JSON Protobuf Encoding: what cannot be parsed was not delivered.",
     .nothing = "no span input",
     .at_end = readable}};

}  // namespace

CheckTable input_checks() { return kRows; }

}  // namespace touchstone::conformance
