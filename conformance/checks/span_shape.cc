// What a span is apart from its attributes: type, name, kind, status, events, links, scope, schema
// URL.
#include <algorithm>

#include "base/text.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

using telemetry::StatusCode;

constexpr char kNothingSaid[] = "no span of a type for which the profile says it";

const char* status_word(StatusCode code) {
  switch (code) {
    case StatusCode::kUnset:
      return "UNSET";
    case StatusCode::kOk:
      return "OK";
    case StatusCode::kError:
      return "ERROR";
  }
  return "UNSET";
}

std::string shown(const std::string& text) { return text.empty() ? "none" : quote(text); }

/// "the kind of the llm_request span is CLIENT, expected SERVER".
void differs(const SpanView& view, const char* what, const std::string& actual,
             const std::string& expected, Recorder& recorder) {
  recorder.violation(
      view, {.fold = view.type->name() + " " + actual,
             .message = std::string("the ") + what + " of the " + view.type->name() + " span is " +
                        shown(actual) + ", expected " + shown(expected),
             .expected = expected,
             .actual = actual,
             .rule = view.rules().where});
}

/// The strictest level of the profiles whose business it is; nullopt: all of them allow the span.
std::optional<result::Level> unknown_span_level(const CheckInput& input, const SpanView& view) {
  std::optional<result::Level> strictest;
  for (const auto& observed : input.profiles) {
    const auto level = observed->profile().unknown_spans;
    if (observed->profile().spans.empty() || !level) continue;
    if (!observed->compiled.owns(*view.span, *view.scope)) continue;
    strictest = strictest ? std::min(*strictest, *level) : *level;
  }
  return strictest;
}

void known_type(const CheckInput& input, const SpanView& view, Recorder& recorder) {
  const auto level = unknown_span_level(input, view);
  if (!level || view.other_service) return;
  recorder.examined();
  if (view.known) return;
  std::vector<std::string> types;
  for (const auto& observed : input.profiles) {
    for (const SpanType& type : observed->profile().spans) types.push_back(type.type);
  }
  recorder.violation(
      view, {.level = *level,
             .fold = view.span->name + to_string(view.span->kind) + view.scope->name,
             .message = "the span is of no type the profile knows: its name is " +
                        quote(view.span->name) + ", its kind " + to_string(view.span->kind) +
                        ", its scope " + shown(view.scope->name),
             .expected = "one of: " + join(types, ", "),
             .actual = view.span->name});
}

/// The name that `form` makes of the span's attributes; nullopt: one of them is missing.
std::optional<std::string> name_of(const std::string& form, const telemetry::Span& span) {
  std::string name;
  size_t at = 0;
  while (at < form.size()) {
    const size_t open = form.find('{', at);
    const size_t close = open == std::string::npos ? open : form.find('}', open);
    if (close == std::string::npos) return name + form.substr(at);
    const std::string key = form.substr(open + 1, close - open - 1);
    const telemetry::Value* value = telemetry::find(span.attributes, key);
    if (value == nullptr) return std::nullopt;
    name += form.substr(at, open - at) + value->text();
    at = close + 1;
  }
  return name;
}

void name(const CheckInput&, const SpanView& view, Recorder& recorder) {
  const auto& pattern = view.type->expected_name();
  const std::string& form = view.rules().name_of;
  if (!form.empty()) {
    recorder.examined();
    const auto expected = name_of(form, *view.span);
    // A missing attribute is another check's.
    if (expected && *expected != view.span->name) {
      recorder.violation(view, {.fold = view.type->name() + " of attributes",
                                .message = "the name of the " + view.type->name() + " span is " +
                                           quote(view.span->name) + ", but its attributes say " +
                                           quote(*expected) + " (" + form + ")",
                                .expected = *expected,
                                .actual = view.span->name,
                                .rule = view.rules().where});
    }
  }
  if (!pattern) return;
  recorder.examined();
  if (pattern->matches(view.span->name)) return;
  recorder.violation(view, {.fold = view.type->name() + view.span->name,
                            .message = "the name of the " + view.type->name() + " span is " +
                                       quote(view.span->name) + ", expected it to match /" +
                                       *view.rules().name_pattern + "/",
                            .expected = "/" + *view.rules().name_pattern + "/",
                            .actual = view.span->name,
                            .rule = view.rules().where});
}

void kind(const CheckInput&, const SpanView& view, Recorder& recorder) {
  const auto& expected = view.rules().kind;
  if (!expected) return;
  recorder.examined();
  if (view.span->kind == *expected) return;
  differs(view, "kind", to_string(view.span->kind), to_string(*expected), recorder);
}

void status(const CheckInput&, const SpanView& view, Recorder& recorder) {
  const std::vector<StatusCode>& allowed = view.rules().statuses;
  if (allowed.empty()) return;
  recorder.examined();
  if (std::find(allowed.begin(), allowed.end(), view.span->status) != allowed.end()) return;
  std::vector<std::string> words;
  for (const StatusCode code : allowed) words.emplace_back(status_word(code));
  differs(view, "status", status_word(view.span->status), join(words, " or "), recorder);
}

/// "exactly 1", "1 to 3", "at least 1".
std::string counts_text(int64_t min, std::optional<int64_t> max) {
  if (!max) return "at least " + std::to_string(min);
  if (min == *max) return std::to_string(min);
  if (min == 0) return "at most " + std::to_string(*max);
  return std::to_string(min) + " to " + std::to_string(*max);
}

void wrong_count(const SpanView& view, const std::string& what, int64_t count, int64_t min,
                 std::optional<int64_t> max, result::Level level, const std::string& rule,
                 Recorder& recorder) {
  if (count >= min && (!max || count <= *max)) return;
  const std::string expected = counts_text(min, max);
  recorder.violation(
      view, {.level = level,
             .fold = view.type->name() + " " + what,
             .message = "the " + view.type->name() + " span has " + std::to_string(count) + " " +
                        what + ", expected " + expected,
             .expected = expected,
             .actual = std::to_string(count),
             .rule = rule});
}

/// How many events of the rule the span must have.
int64_t due_events(const EventRule& rule, const SpanView& view) {
  if (!rule.when) return rule.min;
  const telemetry::Value* value = telemetry::find(view.span->attributes, rule.when->key);
  return holds(*rule.when, value) ? rule.min : 0;
}

void events(const CheckInput&, const SpanView& view, Recorder& recorder) {
  const SpanType& type = view.rules();
  const auto count_of = [&](const std::string& name) {
    return std::count_if(view.span->events.begin(), view.span->events.end(),
                         [&](const telemetry::Event& event) { return event.name == name; });
  };
  if (type.max_events || !type.events.empty() || type.unknown_events) recorder.examined();
  if (type.max_events) {
    wrong_count(view, "events", static_cast<int64_t>(view.span->events.size()), 0, type.max_events,
                result::Level::kMust, type.where, recorder);
  }
  for (const EventRule& rule : type.events) {
    wrong_count(view, "events " + quote(rule.name), count_of(rule.name), due_events(rule, view),
                rule.max, rule.level, rule.where, recorder);
  }
  if (!type.unknown_events) return;
  for (const telemetry::Event& event : view.span->events) {
    const bool known = std::any_of(type.events.begin(), type.events.end(),
                                   [&](const EventRule& rule) { return rule.name == event.name; });
    if (known) continue;
    recorder.violation(view, {.level = *type.unknown_events,
                              .fold = type.type + event.name,
                              .message = "the " + type.type + " span has the event " +
                                         quote(event.name) + ", which the profile does not know",
                              .expected = "only the profile's events",
                              .actual = event.name,
                              .rule = type.where});
  }
}

void links(const CheckInput&, const SpanView& view, Recorder& recorder) {
  const SpanType& type = view.rules();
  if (!type.min_links && !type.max_links) return;
  recorder.examined();
  wrong_count(view, "links", static_cast<int64_t>(view.span->links.size()),
              type.min_links.value_or(0), type.max_links, result::Level::kMust, type.where,
              recorder);
}

void scope(const CheckInput&, const SpanView& view, Recorder& recorder) {
  std::vector<std::string> expected = view.rules().scopes;
  // A span of another scope may be judged as one of the type.
  if (expected.empty() && view.rules().match.scope) expected = {*view.rules().match.scope};
  if (expected.empty()) return;
  recorder.examined();
  if (std::find(expected.begin(), expected.end(), view.scope->name) != expected.end()) return;
  differs(view, "scope", view.scope->name, join(expected, " or "), recorder);
}

void schema_url(const CheckInput&, const SpanView& view, Recorder& recorder) {
  const auto& expected = view.rules().schema_url;
  if (!expected) return;
  recorder.examined();
  if (*view.schema_url == *expected) return;
  differs(view, "schema URL", *view.schema_url, *expected, recorder);
}

void other_service(const CheckInput& input, const telemetry::Resource& resource,
                   Recorder& recorder) {
  for (const auto& observed : input.profiles) {
    const Profile& profile = observed->profile();
    if (profile.service.empty() || !profile.other_services) continue;
    recorder.examined();
    if (!observed->compiled.is_other_service(resource)) continue;
    const telemetry::Value* name = telemetry::find(resource.attributes, "service.name");
    const std::string shown_name = name == nullptr ? "no service.name" : quote(name->text());
    recorder.violation({.level = *profile.other_services,
                        .fold = profile.name + shown_name,
                        .signal = "resource",
                        .subject = "resource attribute service.name",
                        .message = "spans came from another service: " + shown_name +
                                   ", expected a match of /" + profile.service + "/",
                        .expected = "/" + profile.service + "/",
                        .actual = shown_name,
                        .rule = profile.where});
  }
}

using enum CheckRow::Source;
constexpr CheckRow kRows[] = {
    {.id = "span.known_type",
     .title = "Every span is of a type the profile knows",
     .group = "schema",
     .of = CheckRow::Of::kRun,
     .demanded_by = kTheProfile,
     .source = "the profile's span types (match) at its pinned version.",
     .nothing = "the profile allows spans of other types",
     .on_span = known_type},
    {.id = "span.service",
     .title = "Every span is of the service under test",
     .group = "schema",
     .of = CheckRow::Of::kRun,
     .demanded_by = kTheProfile,
     .source = "the profile's service (name, others) at its pinned version.",
     .nothing = "the profile does not care for other services",
     .on_resource = other_service},
    {.id = "span.name",
     .title = "Span names have the profile's form",
     .group = "schema",
     .source = "OpenTelemetry specification 1.50.0, Tracing API, Span: the name identifies a "
               "class of spans; the form is the profile's.",
     .nothing = kNothingSaid,
     .on_span = name},
    {.id = "span.kind",
     .title = "Span kinds",
     .group = "schema",
     .source = "OpenTelemetry specification 1.50.0, Tracing API, SpanKind: a server span covers "
               "server-side handling of a request while the client awaits a response.",
     .nothing = kNothingSaid,
     .on_span = kind},
    {.id = "span.status",
     .title = "Span status",
     .group = "schema",
     .source = "OpenTelemetry specification 1.50.0, Tracing API, Set Status: the status is one of "
               "Unset, Ok, Error; which one is the profile's.",
     .nothing = kNothingSaid,
     .on_span = status},
    {.id = "span.events",
     .title = "Number of span events",
     .group = "schema",
     .demanded_by = kTheProfile,
     .source = "the profile's span types (expect.max_events, events) at its pinned version.",
     .nothing = kNothingSaid,
     .on_span = events},
    {.id = "span.links",
     .title = "Number of span links",
     .group = "schema",
     .demanded_by = kTheProfile,
     .source = "the profile's span types (expect.min_links, max_links) at its pinned version.",
     .nothing = kNothingSaid,
     .on_span = links},
    {.id = "span.scope",
     .title = "Instrumentation scope",
     .group = "schema",
     .source = "OpenTelemetry specification 1.50.0, Common, Instrumentation Scope: the scope's "
               "name tells who emitted the span.",
     .nothing = kNothingSaid,
     .on_span = scope},
    {.id = "span.schema_url",
     .title = "Schema URL",
     .group = "schema",
     .source = "OpenTelemetry specification 1.50.0, Schemas: the schema URL names the version of "
               "the conventions that the telemetry follows.",
     .nothing = kNothingSaid,
     .on_span = schema_url}};

}  // namespace

CheckTable shape_checks() { return kRows; }

}  // namespace touchstone::conformance
