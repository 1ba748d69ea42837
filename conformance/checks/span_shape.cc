// What a span is apart from its attributes: type, name, kind, status, events, scope, schema URL.
#include "base/text.h"
#include "conformance/checks/check.h"
#include "conformance/profile/pattern.h"

namespace touchstone::conformance {
namespace {

const char* status_word(telemetry::StatusCode code) {
  switch (code) {
    case telemetry::StatusCode::kUnset:
      return "UNSET";
    case telemetry::StatusCode::kOk:
      return "OK";
    case telemetry::StatusCode::kError:
      return "ERROR";
  }
  return "UNSET";
}

/// Calls `visit(view)` for each span whose type asserts the property.
template <typename Asserts, typename Visit>
void for_each_asserted(const CheckInput& input, Recorder& recorder, const Asserts& asserts,
                       const Visit& visit) {
  recorder.not_applicable("no span of a type for which the profile says it");
  for (const SpanView& view : input.index.spans) {
    if (view.type == nullptr || !asserts(*view.type)) continue;
    recorder.examined();
    visit(view);
  }
}

std::string shown(const std::string& text) { return text.empty() ? "none" : quote(text); }

}  // namespace

void check_span_known_type(const CheckInput& input, Recorder& recorder) {
  if (!input.profile.unknown_spans || input.profile.spans.empty()) {
    recorder.not_applicable("the profile allows spans of other types");
    return;
  }
  std::vector<std::string> types;
  for (const SpanType& type : input.profile.spans) types.push_back(type.type);
  for (const SpanView& view : input.index.spans) {
    recorder.examined();
    if (view.type != nullptr) continue;
    recorder.violation(
        view, {.level = *input.profile.unknown_spans,
               .fold = view.span->name + to_string(view.span->kind) + view.scope->name,
               .message = "the span is of no type the profile knows: its name is " +
                          quote(view.span->name) + ", its kind " + to_string(view.span->kind) +
                          ", its scope " + shown(view.scope->name),
               .expected = "one of: " + join(types, ", "),
               .actual = view.span->name});
  }
}

void check_span_name(const CheckInput& input, Recorder& recorder) {
  const auto asserts = [](const SpanType& type) { return type.name_pattern.has_value(); };
  for_each_asserted(input, recorder, asserts, [&](const SpanView& view) {
    const Result<Pattern> pattern = Pattern::compile(*view.type->name_pattern);
    if (pattern && pattern->matches(view.span->name)) return;
    recorder.violation(view, {.fold = view.type->type + view.span->name,
                              .message = "the name of the " + view.type->type + " span is " +
                                         quote(view.span->name) + ", expected it to match /" +
                                         *view.type->name_pattern + "/",
                              .expected = "/" + *view.type->name_pattern + "/",
                              .actual = view.span->name});
  });
}

void check_span_kind(const CheckInput& input, Recorder& recorder) {
  const auto asserts = [](const SpanType& type) { return type.kind.has_value(); };
  for_each_asserted(input, recorder, asserts, [&](const SpanView& view) {
    if (view.span->kind == *view.type->kind) return;
    recorder.violation(
        view, {.fold = view.type->type + to_string(view.span->kind),
               .message = "the kind of the " + view.type->type + " span is " +
                          to_string(view.span->kind) + ", expected " + to_string(*view.type->kind),
               .expected = to_string(*view.type->kind),
               .actual = to_string(view.span->kind)});
  });
}

void check_span_status(const CheckInput& input, Recorder& recorder) {
  const auto asserts = [](const SpanType& type) { return !type.statuses.empty(); };
  for_each_asserted(input, recorder, asserts, [&](const SpanView& view) {
    std::vector<std::string> allowed;
    for (const telemetry::StatusCode code : view.type->statuses) {
      if (code == view.span->status) return;
      allowed.emplace_back(status_word(code));
    }
    recorder.violation(
        view, {.fold = view.type->type + status_word(view.span->status),
               .message = "the status of the " + view.type->type + " span is " +
                          status_word(view.span->status) + ", expected " + join(allowed, " or "),
               .expected = join(allowed, " or "),
               .actual = status_word(view.span->status)});
  });
}

void check_span_events(const CheckInput& input, Recorder& recorder) {
  const auto asserts = [](const SpanType& type) { return type.max_events.has_value(); };
  for_each_asserted(input, recorder, asserts, [&](const SpanView& view) {
    const auto events = static_cast<int64_t>(view.span->events.size());
    if (events <= *view.type->max_events) return;
    recorder.violation(
        view, {.fold = view.type->type,
               .message = "the " + view.type->type + " span has " + std::to_string(events) +
                          " events, expected at most " + std::to_string(*view.type->max_events),
               .expected = "<= " + std::to_string(*view.type->max_events),
               .actual = std::to_string(events)});
  });
}

void check_span_scope(const CheckInput& input, Recorder& recorder) {
  const auto asserts = [](const SpanType& type) { return type.scope.has_value(); };
  for_each_asserted(input, recorder, asserts, [&](const SpanView& view) {
    if (view.scope->name == *view.type->scope) return;
    recorder.violation(
        view, {.fold = view.type->type + view.scope->name,
               .message = "the scope of the " + view.type->type + " span is " +
                          shown(view.scope->name) + ", expected " + quote(*view.type->scope),
               .expected = *view.type->scope,
               .actual = view.scope->name});
  });
}

void check_span_schema_url(const CheckInput& input, Recorder& recorder) {
  const auto asserts = [](const SpanType& type) { return type.schema_url.has_value(); };
  for_each_asserted(input, recorder, asserts, [&](const SpanView& view) {
    if (*view.schema_url == *view.type->schema_url) return;
    recorder.violation(
        view, {.fold = view.type->type + *view.schema_url,
               .message = "the schema URL of the " + view.type->type + " span is " +
                          shown(*view.schema_url) + ", expected " + quote(*view.type->schema_url),
               .expected = *view.type->schema_url,
               .actual = *view.schema_url});
  });
}

}  // namespace touchstone::conformance
