// The attributes of spans against the rules of their type.
#include <map>
#include <set>

#include "base/text.h"
#include "conformance/checks/attribute_rules.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

std::string attribute_subject(const std::string& key, const SpanView& view) {
  return "attribute " + key + " of " + view.type->type;
}

/// Calls `visit(view, rule, value)` for each attribute that is present and has a rule for which
/// `concerns(rule)` holds; counts each.
template <typename Concerns, typename Visit>
void for_each_value(const CheckInput& input, Recorder& recorder, const Concerns& concerns,
                    const Visit& visit) {
  recorder.not_applicable("no attribute for which the profile says it");
  for (const SpanView& view : input.index.spans) {
    if (view.type == nullptr) continue;
    for (const AttributeRule& rule : view.type->attributes) {
      if (!concerns(rule)) continue;
      const telemetry::Value* value = telemetry::find(view.span->attributes, rule.key);
      if (value == nullptr) continue;
      recorder.examined();
      visit(view, rule, *value);
    }
  }
}

Violation of_value(const SpanView& view, const AttributeRule& rule, const std::string& expected,
                   const std::string& actual) {
  return {.level = rule.level,
          .fold = view.type->type + " " + rule.key + " " + expected,
          .subject = attribute_subject(rule.key, view),
          .message = rule.key + " is " + actual + ", expected " + expected,
          .expected = expected,
          .actual = actual,
          .context = {{"attribute", rule.key}, {"rule", rule.where}}};
}

}  // namespace

void check_attribute_required(const CheckInput& input, Recorder& recorder) {
  recorder.not_applicable("no span of a type that requires attributes");
  for (const SpanView& view : input.index.spans) {
    if (view.type == nullptr) continue;
    for (const AttributeRule& rule : view.type->attributes) {
      if (rule.level == result::Level::kMay || !is_due(rule, view.span->attributes)) continue;
      recorder.examined();
      if (telemetry::find(view.span->attributes, rule.key) != nullptr) continue;
      const std::string sibling = renamed_as(rule.key, view.span->attributes, input.profile);
      recorder.violation(
          view, {.level = rule.level,
                 .fold = view.type->type + " " + rule.key + sibling,
                 .subject = attribute_subject(rule.key, view),
                 .message = "each " + view.type->type + " span " + result::to_string(rule.level) +
                            " carry " + rule.key + ", which is missing" + sibling,
                 .expected = rule.key + " (" + to_string(rule.type) + ")",
                 .actual = sibling.empty() ? "missing" : "missing" + sibling,
                 .context = {{"attribute", rule.key}, {"rule", rule.where}}});
    }
  }
}

void check_attribute_type(const CheckInput& input, Recorder& recorder) {
  const auto concerns = [](const AttributeRule& rule) { return rule.type != ValueType::kAny; };
  for_each_value(
      input, recorder, concerns,
      [&](const SpanView& view, const AttributeRule& rule, const telemetry::Value& value) {
        if (has_type(value, rule.type)) return;
        Violation violation = of_value(view, rule, to_string(rule.type), value.type_name());
        violation.fold += std::string(" ") + value.type_name();
        violation.message =
            rule.key + " has type " + value.type_name() + ", expected " + to_string(rule.type);
        violation.context["value"] = value.text().substr(0, 200);
        recorder.violation(view, std::move(violation));
      });
}

void check_attribute_range(const CheckInput& input, Recorder& recorder) {
  const auto concerns = [](const AttributeRule& rule) { return rule.min || rule.max; };
  for_each_value(
      input, recorder, concerns,
      [&](const SpanView& view, const AttributeRule& rule, const telemetry::Value& value) {
        const auto expected = out_of_range(value, rule);
        if (!expected) return;
        recorder.violation(view, of_value(view, rule, *expected, value.text()));
      });
}

void check_attribute_enum(const CheckInput& input, Recorder& recorder) {
  const auto concerns = [](const AttributeRule& rule) { return !rule.one_of.empty(); };
  for_each_value(
      input, recorder, concerns,
      [&](const SpanView& view, const AttributeRule& rule, const telemetry::Value& value) {
        const auto expected = not_listed(value, rule);
        if (!expected) return;
        recorder.violation(view, of_value(view, rule, *expected, quote(value.text())));
      });
}

void check_attribute_pattern(const CheckInput& input, Recorder& recorder) {
  std::map<const AttributeRule*, Pattern> patterns;
  for (const SpanType& type : input.profile.spans) {
    for (const AttributeRule& rule : type.attributes) {
      if (rule.pattern.empty()) continue;
      Result<Pattern> pattern = Pattern::compile(rule.pattern);
      if (pattern) patterns.emplace(&rule, *std::move(pattern));
    }
  }
  const auto concerns = [](const AttributeRule& rule) { return !rule.pattern.empty(); };
  for_each_value(
      input, recorder, concerns,
      [&](const SpanView& view, const AttributeRule& rule, const telemetry::Value& value) {
        if (patterns.at(&rule).matches(value.text())) return;
        recorder.violation(
            view, of_value(view, rule, "a match of /" + rule.pattern + "/", quote(value.text())));
      });
}

void check_attribute_forbidden(const CheckInput& input, Recorder& recorder) {
  recorder.not_applicable("no span of a type with forbidden keys");
  for (const SpanView& view : input.index.spans) {
    if (view.type == nullptr || view.type->forbidden.empty()) continue;
    recorder.examined();
    for (const telemetry::KeyValue& attribute : view.span->attributes) {
      for (const ForbiddenKey& forbidden : view.type->forbidden) {
        if (!covers(forbidden, attribute.key)) continue;
        recorder.violation(
            view, {.level = forbidden.level,
                   .fold = view.type->type + " " + attribute.key,
                   .subject = attribute_subject(attribute.key, view),
                   .message = "no " + view.type->type + " span may carry " + attribute.key + ": " +
                              forbidden.reason,
                   .expected = "absent",
                   .actual = std::string("present, ") + attribute.value.type_name(),
                   .context = {{"attribute", attribute.key}, {"rule", forbidden.where}}});
      }
    }
  }
}

void check_attribute_unknown(const CheckInput& input, Recorder& recorder) {
  recorder.not_applicable("no span of a type that closes its list of keys");
  for (const SpanView& view : input.index.spans) {
    if (view.type == nullptr || !view.type->unknown_attributes) continue;
    std::set<std::string> known;
    for (const AttributeRule& rule : view.type->attributes) known.insert(rule.key);
    for (const telemetry::KeyValue& attribute : view.span->attributes) {
      recorder.examined();
      if (known.contains(attribute.key)) continue;
      std::string sibling;
      for (const Rename& rename : input.profile.renames) {
        if (rename.other == attribute.key) {
          sibling = " (the profile's " + rename.key + ", its name in " + rename.since + ")";
        }
      }
      recorder.violation(view,
                         {.level = *view.type->unknown_attributes,
                          .fold = view.type->type + " " + attribute.key,
                          .subject = attribute_subject(attribute.key, view),
                          .message = "the " + view.type->type + " span carries " + attribute.key +
                                     ", which " + input.profile.name + " does not know" + sibling,
                          .expected = "only the profile's keys",
                          .actual = attribute.key,
                          .context = {{"attribute", attribute.key}}});
    }
  }
}

void check_attribute_twice(const CheckInput& input, Recorder& recorder) {
  recorder.not_applicable("no span has attributes");
  for (const SpanView& view : input.index.spans) {
    if (view.span->attributes.empty()) continue;
    recorder.examined();
    std::set<std::string> seen;
    for (const telemetry::KeyValue& attribute : view.span->attributes) {
      if (seen.insert(attribute.key).second) continue;
      recorder.violation(
          view, {.fold = view.span->name + " " + attribute.key,
                 .subject = "attribute " + attribute.key + " of " + view.span->name,
                 .message = "the key " + attribute.key + " occurs more than once on one span",
                 .expected = "once",
                 .actual = "more than once",
                 .context = {{"attribute", attribute.key}}});
    }
  }
}

}  // namespace touchstone::conformance
