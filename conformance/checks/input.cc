// Was there anything to judge, and could all of it be read?
#include "base/text.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {

void check_input_readable(const CheckInput& input, Recorder& recorder) {
  recorder.examined(
      static_cast<int64_t>(input.index.spans.size() + input.evidence.span_problems.size()));
  recorder.not_applicable("no span input");
  for (const std::string& problem : input.evidence.span_problems) {
    recorder.violation({.fold = problem,
                        .subject = "span input",
                        .message = "the input cannot be read here: " + problem,
                        .expected = "well-formed OTLP",
                        .actual = problem,
                        .context = {{"file", problem.substr(0, problem.find(": "))}}});
  }
}

void check_spans_received(const CheckInput& input, Recorder& recorder) {
  if (input.profile.spans.empty()) {
    recorder.not_applicable("the profile has no span types");
    return;
  }
  int64_t requests = 0;
  bool wants_requests = false;
  for (const SpanType& type : input.profile.spans) wants_requests |= type.is_request;
  for (const SpanView& view : input.index.spans) {
    requests += view.type != nullptr && view.type->is_request;
  }
  if (input.index.spans.empty()) {
    recorder.undecided("no span was received: nothing can be said about the subject");
    return;
  }
  recorder.examined(static_cast<int64_t>(input.index.spans.size()));
  if (wants_requests && requests == 0) {
    recorder.undecided(format_count(static_cast<int64_t>(input.index.spans.size())) +
                       " spans were received, none of them a request's");
    return;
  }
  recorder.summary(format_count(static_cast<int64_t>(input.index.spans.size())) + " spans");
}

}  // namespace touchstone::conformance
