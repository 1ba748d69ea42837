// The resources of spans against the profile's resource rules.
#include "base/text.h"
#include "conformance/checks/attribute_rules.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

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
          .message = "",
          .expected = "",
          .actual = "",
          .context = {{"attribute", key}, {"rule", where}, {"resource", service_of(resource)}}};
}

}  // namespace

void check_resource_required(const CheckInput& input, Recorder& recorder) {
  recorder.not_applicable("the profile has no resource rules, or no resource came");
  for (const telemetry::Resource* resource : input.index.resources) {
    for (const AttributeRule& rule : input.profile.resource) {
      if (rule.level == result::Level::kMay || !is_due(rule, resource->attributes)) continue;
      recorder.examined();
      if (telemetry::find(resource->attributes, rule.key) != nullptr) continue;
      const std::string sibling = renamed_as(rule.key, resource->attributes, input.profile);
      Violation violation = of_resource(*resource, rule.key, rule.level, rule.where);
      violation.message = "the resource " + service_of(*resource) + " " +
                          result::to_string(rule.level) + " carry " + rule.key +
                          ", which is missing" + sibling;
      violation.expected = rule.key + " (" + to_string(rule.type) + ")";
      violation.actual = "missing" + sibling;
      recorder.violation(std::move(violation));
    }
  }
}

void check_resource_value(const CheckInput& input, Recorder& recorder) {
  recorder.not_applicable("the profile has no resource rules, or no resource came");
  for (const telemetry::Resource* resource : input.index.resources) {
    for (const AttributeRule& rule : input.profile.resource) {
      const telemetry::Value* value = telemetry::find(resource->attributes, rule.key);
      if (value == nullptr) continue;
      recorder.examined();
      std::string expected;
      std::string actual = quote(value->text());
      if (!has_type(*value, rule.type)) {
        expected = to_string(rule.type);
        actual = value->type_name();
      } else if (const auto range = out_of_range(*value, rule)) {
        expected = *range;
      } else if (const auto listed = not_listed(*value, rule)) {
        expected = *listed;
      } else if (!rule.pattern.empty()) {
        const Result<Pattern> pattern = Pattern::compile(rule.pattern);
        if (!pattern || !pattern->matches(value->text())) {
          expected = "a match of /" + rule.pattern + "/";
        }
      }
      if (expected.empty()) continue;
      Violation violation = of_resource(*resource, rule.key, rule.level, rule.where);
      violation.message =
          "resource attribute " + rule.key + " is " + actual + ", expected " + expected;
      violation.expected = expected;
      violation.actual = actual;
      recorder.violation(std::move(violation));
    }
  }
}

void check_resource_forbidden(const CheckInput& input, Recorder& recorder) {
  recorder.not_applicable("the profile forbids no resource key, or no resource came");
  if (input.profile.resource_forbidden.empty()) return;
  for (const telemetry::Resource* resource : input.index.resources) {
    recorder.examined();
    for (const telemetry::KeyValue& attribute : resource->attributes) {
      for (const ForbiddenKey& forbidden : input.profile.resource_forbidden) {
        if (!covers(forbidden, attribute.key)) continue;
        Violation violation =
            of_resource(*resource, attribute.key, forbidden.level, forbidden.where);
        violation.message =
            "the resource must not carry " + attribute.key + ": " + forbidden.reason;
        violation.expected = "absent";
        violation.actual = "present";
        recorder.violation(std::move(violation));
      }
    }
  }
}

}  // namespace touchstone::conformance
