// The resources of spans against the profile's resource rules.
#include "base/text.h"
#include "conformance/checks/attribute_rules.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

constexpr char kNothing[] = "the profile has no resource rules, or no resource came";

std::string service_of(const telemetry::Resource& resource) {
  const telemetry::Value* name = telemetry::find(resource.attributes, "service.name");
  return name == nullptr ? "without service.name" : "of service " + name->text();
}

Violation of_resource(const telemetry::Resource& resource, const std::string& key,
                      result::Level level, const std::string& where) {
  return {.level = level,
          .fold = key,
          .signal = "resource",
          .subject = "resource attribute " + key,
          .context = {{"attribute", key}, {"resource", service_of(resource)}},
          .rule = where};
}

void required(const CheckInput& input, const telemetry::Resource& resource, Recorder& recorder) {
  for (const AttributeRule& rule : input.profile().resource) {
    if (rule.level == result::Level::kMay || !is_due(rule, resource.attributes)) continue;
    recorder.examined();
    if (telemetry::find(resource.attributes, rule.key) != nullptr) continue;
    const std::string sibling = renamed_as(rule.key, resource.attributes, input.profile());
    Violation violation = of_resource(resource, rule.key, rule.level, rule.where);
    violation.message = "the resource " + service_of(resource) + " " +
                        result::to_string(rule.level) + " carry " + rule.key +
                        ", which is missing" + sibling;
    violation.expected = rule.key + " (" + to_string(rule.type) + ")";
    violation.actual = "missing" + sibling;
    recorder.violation(std::move(violation));
  }
}

/// What the value should be instead; nullopt: it is right.
std::optional<std::string> wrong(const CompiledRule& rule, const telemetry::Value& value) {
  if (!has_type(value, rule.rule->type)) return to_string(rule.rule->type);
  if (auto range = out_of_range(value, *rule.rule)) return range;
  if (auto listed = not_listed(value, *rule.rule)) return listed;
  return not_of_form(value, rule);
}

void value(const CheckInput& input, const telemetry::Resource& resource, Recorder& recorder) {
  for (const CompiledRule& compiled : input.observed.compiled.resource_rules()) {
    const AttributeRule& rule = *compiled.rule;
    const telemetry::Value* found = telemetry::find(resource.attributes, rule.key);
    if (found == nullptr) continue;
    recorder.examined();
    const auto expected = wrong(compiled, *found);
    if (!expected) continue;
    const bool mistyped = !has_type(*found, rule.type);
    Violation violation = of_resource(resource, rule.key, rule.level, rule.where);
    violation.expected = *expected;
    violation.actual = mistyped ? found->type_name() : quote(found->text());
    violation.message =
        "resource attribute " + rule.key + " is " + violation.actual + ", expected " + *expected;
    recorder.violation(std::move(violation));
  }
}

void forbidden(const CheckInput& input, const telemetry::Resource& resource, Recorder& recorder) {
  if (input.profile().resource_forbidden.empty()) return;
  recorder.examined();
  for (const telemetry::KeyValue& attribute : resource.attributes) {
    for (const ForbiddenKey& key : input.profile().resource_forbidden) {
      if (!covers(key, attribute.key)) continue;
      Violation violation = of_resource(resource, attribute.key, key.level, key.where);
      violation.message = "the resource must not carry " + attribute.key + ": " + key.reason;
      violation.expected = "absent";
      violation.actual = "present";
      recorder.violation(std::move(violation));
    }
  }
}

void twice(const CheckInput&, const telemetry::Resource& resource, Recorder& recorder) {
  if (resource.attributes.empty()) return;
  recorder.examined();
  for (const std::string_view repeated : repeated_keys(resource.attributes)) {
    const std::string key(repeated);
    Violation violation = of_resource(resource, key, result::Level::kMust, "");
    violation.message =
        "the key " + key + " occurs more than once on the resource " + service_of(resource);
    violation.expected = "once";
    violation.actual = "more than once";
    recorder.violation(std::move(violation));
  }
}

using enum CheckRow::Source;
constexpr CheckRow kRows[] = {
    {.id = "resource.required",
     .title = "Required resource attributes are present",
     .group = "coverage",
     .source = "OpenTelemetry semantic conventions 1.43.0, Resource: service.name MUST be given; "
               "the rest is the profile's.",
     .nothing = kNothing,
     .on_resource = required},
    {.id = "resource.value",
     .title = "Resource attributes have their type and form",
     .group = "schema",
     .demanded_by = kTheProfile,
     .source = "the profile's resource rules at its pinned version.",
     .nothing = kNothing,
     .on_resource = value},
    {.id = "resource.forbidden",
     .title = "Forbidden resource attributes are absent",
     .group = "schema",
     .demanded_by = kTheProfile,
     .source = "the profile's forbidden resource keys at its pinned version.",
     .nothing = "the profile forbids no resource key, or no resource came",
     .on_resource = forbidden},
    {.id = "resource.twice",
     .title = "No attribute key twice on a resource",
     .group = "schema",
     .of = CheckRow::Of::kRun,
     .source = "opentelemetry-proto v1.11.0, resource.proto, Resource.attributes: attribute keys "
               "MUST be unique.",
     .nothing = "no resource has attributes",
     .on_resource = twice}};

}  // namespace

CheckTable resource_checks() { return kRows; }

}  // namespace touchstone::conformance
