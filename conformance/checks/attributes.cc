// The attributes of spans against the rules of their type.
#include <string_view>
#include <vector>

#include "base/text.h"
#include "conformance/checks/attribute_rules.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

using telemetry::KeyValue;
using telemetry::Value;

constexpr char kNoAttribute[] = "no attribute for which the profile says it";

std::string attribute_subject(const std::string& key, const SpanView& view) {
  return "attribute " + key + " of " + view.type->name();
}

/// Calls `visit(rule, value)` for each attribute that is present and has a rule for which
/// `concerns(rule)` holds; counts each.
template <typename Concerns, typename Visit>
void for_each_value(const SpanView& view, Recorder& recorder, const Concerns& concerns,
                    const Visit& visit) {
  const std::vector<CompiledRule>& rules = view.type->rules();
  for (size_t slot = 0; slot < rules.size(); ++slot) {
    if (view.values[slot] == nullptr || !concerns(rules[slot])) continue;
    recorder.examined();
    visit(rules[slot], *view.values[slot]);
  }
}

Violation of_value(const SpanView& view, const AttributeRule& rule, const std::string& expected,
                   const std::string& actual) {
  return {.level = rule.level,
          .fold = view.type->name() + " " + rule.key + " " + expected,
          .subject = attribute_subject(rule.key, view),
          .message = rule.key + " is " + actual + ", expected " + expected,
          .expected = expected,
          .actual = actual,
          .context = {{"attribute", rule.key}},
          .rule = rule.where};
}

void required(const CheckInput& input, const SpanView& view, Recorder& recorder) {
  const std::vector<CompiledRule>& rules = view.type->rules();
  for (size_t slot = 0; slot < rules.size(); ++slot) {
    const AttributeRule& rule = *rules[slot].rule;
    if (rule.level == result::Level::kMay || !is_due(rule, view.span->attributes)) continue;
    recorder.examined();
    if (view.values[slot] != nullptr) continue;
    const std::string sibling = renamed_as(rule.key, view.span->attributes, input.profile());
    recorder.violation(
        view, {.level = rule.level,
               .fold = view.type->name() + " " + rule.key + sibling,
               .subject = attribute_subject(rule.key, view),
               .message = "each " + view.type->name() + " span " + result::to_string(rule.level) +
                          " carry " + rule.key + ", which is missing" + sibling,
               .expected = rule.key + " (" + to_string(rule.type) + ")",
               .actual = sibling.empty() ? "missing" : "missing" + sibling,
               .context = {{"attribute", rule.key}},
               .rule = rule.where});
  }
}

void type(const CheckInput&, const SpanView& view, Recorder& recorder) {
  const auto concerns = [](const CompiledRule& rule) { return rule.rule->type != ValueType::kAny; };
  for_each_value(view, recorder, concerns, [&](const CompiledRule& compiled, const Value& value) {
    const AttributeRule& rule = *compiled.rule;
    if (has_type(value, rule.type)) return;
    Violation violation = of_value(view, rule, to_string(rule.type), value.type_name());
    violation.fold += std::string(" ") + value.type_name();
    violation.message =
        rule.key + " has type " + value.type_name() + ", expected " + to_string(rule.type);
    violation.context["value"] = value.text().substr(0, 200);
    recorder.violation(view, std::move(violation));
  });
}

void range(const CheckInput&, const SpanView& view, Recorder& recorder) {
  const auto concerns = [](const CompiledRule& rule) { return rule.rule->min || rule.rule->max; };
  for_each_value(view, recorder, concerns, [&](const CompiledRule& rule, const Value& value) {
    const auto expected = out_of_range(value, *rule.rule);
    if (!expected) return;
    recorder.violation(view, of_value(view, *rule.rule, *expected, value.text()));
  });
}

void one_of(const CheckInput&, const SpanView& view, Recorder& recorder) {
  const auto concerns = [](const CompiledRule& rule) { return !rule.rule->one_of.empty(); };
  for_each_value(view, recorder, concerns, [&](const CompiledRule& rule, const Value& value) {
    const auto expected = not_listed(value, *rule.rule);
    if (!expected) return;
    recorder.violation(view, of_value(view, *rule.rule, *expected, quote(value.text())));
  });
}

void pattern(const CheckInput&, const SpanView& view, Recorder& recorder) {
  const auto concerns = [](const CompiledRule& rule) { return rule.pattern.has_value(); };
  for_each_value(view, recorder, concerns, [&](const CompiledRule& rule, const Value& value) {
    const auto expected = not_of_form(value, rule);
    if (!expected) return;
    recorder.violation(view, of_value(view, *rule.rule, *expected, quote(value.text())));
  });
}

void forbidden(const CheckInput&, const SpanView& view, Recorder& recorder) {
  if (view.rules().forbidden.empty()) return;
  recorder.examined();
  for (const KeyValue* attribute : view.forbidden) {
    for (const ForbiddenKey& key : view.rules().forbidden) {
      if (!covers(key, attribute->key)) continue;
      recorder.violation(view, {.level = key.level,
                                .fold = view.type->name() + " " + attribute->key,
                                .subject = attribute_subject(attribute->key, view),
                                .message = "no " + view.type->name() + " span may carry " +
                                           attribute->key + ": " + key.reason,
                                .expected = "absent",
                                .actual = std::string("present, ") + attribute->value.type_name(),
                                .context = {{"attribute", attribute->key}},
                                .rule = key.where});
    }
  }
}

void unknown(const CheckInput& input, const SpanView& view, Recorder& recorder) {
  if (!view.rules().unknown_attributes) return;
  recorder.examined(static_cast<int64_t>(view.span->attributes.size()));
  for (const KeyValue* attribute : view.rest) {
    std::string sibling;
    for (const Rename& rename : input.profile().renames) {
      if (rename.other == attribute->key) {
        sibling = " (the profile's " + rename.key + ", its name in " + rename.since + ")";
      }
    }
    recorder.violation(view,
                       {.level = *view.rules().unknown_attributes,
                        .fold = view.type->name() + " " + attribute->key,
                        .subject = attribute_subject(attribute->key, view),
                        .message = "the " + view.type->name() + " span carries " + attribute->key +
                                   ", which " + input.profile().name + " does not know" + sibling,
                        .expected = "only the profile's keys",
                        .actual = attribute->key,
                        .context = {{"attribute", attribute->key}},
                        .rule = view.rules().where});
  }
}

void twice(const CheckInput&, const SpanView& view, Recorder& recorder) {
  if (view.span->attributes.empty() || view.other_service) return;
  recorder.examined();
  if (view.type != nullptr && view.keys_differ) return;
  for (const std::string_view repeated : repeated_keys(view.span->attributes)) {
    const std::string key(repeated);
    recorder.violation(view, {.fold = view.span->name + " " + key,
                              .subject = "attribute " + key + " of " + view.span->name,
                              .message = "the key " + key + " occurs more than once on one span",
                              .expected = "once",
                              .actual = "more than once",
                              .context = {{"attribute", key}}});
  }
}

using enum CheckRow::Source;
constexpr CheckRow kRows[] = {
    {.id = "span.attribute.required",
     .title = "Required attributes are present",
     .group = "coverage",
     .demanded_by = kTheProfile,
     .source = "the profile's attributes at its pinned version: what is required is on every "
               "span.",
     .nothing = "no span of a type that requires attributes",
     .on_span = required},
    {.id = "span.attribute.type",
     .title = "Attribute types",
     .group = "schema",
     .source = "OpenTelemetry specification 1.50.0, Common, Attribute: a value has the type its "
               "convention gives it.",
     .nothing = kNoAttribute,
     .on_span = type},
    {.id = "span.attribute.range",
     .title = "Attribute ranges",
     .group = "schema",
     .demanded_by = kTheProfile,
     .source = "the profile's attributes (min, max) at its pinned version.",
     .nothing = kNoAttribute,
     .on_span = range},
    {.id = "span.attribute.enum",
     .title = "Attribute values are among those allowed",
     .group = "schema",
     .demanded_by = kTheProfile,
     .source = "the profile's attributes (one_of) at its pinned version.",
     .nothing = kNoAttribute,
     .on_span = one_of},
    {.id = "span.attribute.pattern",
     .title = "Attribute values have their form",
     .group = "schema",
     .demanded_by = kTheProfile,
     .source = "the profile's attributes (pattern) at its pinned version.",
     .nothing = kNoAttribute,
     .on_span = pattern},
    {.id = "span.attribute.forbidden",
     .title = "Forbidden attributes are absent",
     .group = "schema",
     .demanded_by = kTheProfile,
     .source = "the profile's forbidden keys at its pinned version, each with its reason.",
     .nothing = "no span of a type with forbidden keys",
     .on_span = forbidden},
    {.id = "span.attribute.unknown",
     .title = "No attribute beyond the profile's",
     .group = "schema",
     .level = result::Level::kShould,
     .demanded_by = kTheProfile,
     .source = "the profile's unknown_attributes at its pinned version.",
     .nothing = "no span of a type that closes its list of keys",
     .on_span = unknown},
    {.id = "span.attribute.twice",
     .title = "No attribute key twice on a span",
     .group = "schema",
     .of = CheckRow::Of::kRun,
     .source = "opentelemetry-proto v1.11.0, trace.proto, Span.attributes: attribute keys MUST "
               "be unique.",
     .nothing = "no span has attributes",
     .on_span = twice}};

}  // namespace

CheckTable attribute_checks() { return kRows; }

}  // namespace touchstone::conformance
