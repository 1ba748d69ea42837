#include "conformance/sightings.h"

#include <algorithm>

#include "conformance/checks/attribute_rules.h"
#include "conformance/checks/check.h"
#include "conformance/dimensions.h"

namespace touchstone::conformance {
namespace {

using result::Level;
using result::Sighting;

std::string value_of(const Dimension& dimension, const SpanView& view) {
  for (const std::string& key : dimension.keys) {
    const telemetry::Value* value = telemetry::find(view.span->attributes, key);
    if (value == nullptr) value = telemetry::find(view.resource->attributes, key);
    if (value != nullptr) return value->text();
  }
  return {};
}

std::string service_of(const telemetry::Resource& resource) {
  const telemetry::Value* name = telemetry::find(resource.attributes, "service.name");
  return name == nullptr ? "(no service.name)" : name->text();
}

bool is_demanded(const AttributeRule& rule) {
  return rule.presence != Presence::kSometimes && rule.level != Level::kMay;
}

}  // namespace

Sightings::Sightings(const CompiledProfile& profile) : profile_(profile), all_(empty()) {}

Sightings::Sights Sightings::empty() const {
  Sights sights;
  for (const CompiledType& type : profile_.types()) sights.emplace_back(type.rules().size());
  sights.emplace_back(profile_.resource_rules().size());
  return sights;
}

void Sightings::Sight::add(bool is_present, const telemetry::Span& span,
                           const telemetry::Resource& resource) {
  ++due;
  if (!is_present) {
    if (missing_in.size() < kServicesMax) missing_in.insert(service_of(resource));
    return;
  }
  const int64_t at = span.start_unix_ns;
  first_unix_ns = present == 0 ? at : std::min(first_unix_ns, at);
  last_unix_ns = present == 0 ? at : std::max(last_unix_ns, at);
  ++present;
}

void Sightings::add_to(Sights& sights, const SpanView& view) {
  const auto due = [](const AttributeRule& rule, const telemetry::Attributes& attributes) {
    return is_demanded(rule) && (rule.presence != Presence::kWhen || is_due(rule, attributes));
  };
  std::vector<Sight>& of_type = sights[view.type->index()];
  for (size_t i = 0; i < of_type.size(); ++i) {
    const AttributeRule& rule = *view.type->rules()[i].rule;
    if (!due(rule, view.span->attributes)) continue;
    of_type[i].add(view.values[i] != nullptr, *view.span, *view.resource);
  }
  for (size_t i = 0; i < sights.back().size(); ++i) {
    const AttributeRule& rule = *profile_.resource_rules()[i].rule;
    if (!due(rule, view.resource->attributes)) continue;
    const bool is_present = telemetry::find(view.resource->attributes, rule.key) != nullptr;
    sights.back()[i].add(is_present, *view.span, *view.resource);
  }
}

void Sightings::add(const SpanView& view) {
  add_to(all_, view);
  for (const Dimension& dimension : sighting_dimensions()) {
    const std::string value = value_of(dimension, view);
    if (value.empty()) continue;
    auto& values = groups_[dimension.name];
    auto known = values.find(value);
    if (known == values.end()) {
      if (values.size() >= kGroupsMax) continue;
      known = values.emplace(value, empty()).first;
    }
    add_to(known->second, view);
  }
}

void Sightings::append(const Sights& sights, const std::string& group,
                       std::vector<Sighting>& rows) const {
  // Of a type that stands for requests a window without any is a finding; others may not occur.
  const auto add = [&](const std::string& type, const AttributeRule& rule, const Sight& sight,
                       bool is_owed) {
    const bool of_no_span = is_owed && group.empty() && rule.presence == Presence::kAlways;
    if (!is_demanded(rule) || (sight.due == 0 && !of_no_span)) return;
    Sighting row{.attribute = rule.key,
                 .span_type = type,
                 .group = group,
                 .level = rule.level,
                 .present = sight.present,
                 .total = sight.due};
    if (sight.present > 0) {
      row.first_seen_unix_ns = sight.first_unix_ns;
      row.last_seen_unix_ns = sight.last_unix_ns;
    }
    row.missing_in.assign(sight.missing_in.begin(), sight.missing_in.end());
    rows.push_back(std::move(row));
  };
  const std::vector<CompiledType>& types = profile_.types();
  for (size_t type = 0; type < types.size(); ++type) {
    for (size_t i = 0; i < sights[type].size(); ++i) {
      add(types[type].name(), *types[type].rules()[i].rule, sights[type][i],
          types[type].type().is_request);
    }
  }
  for (size_t i = 0; i < sights.back().size(); ++i) {
    add("resource", *profile_.resource_rules()[i].rule, sights.back()[i], true);
  }
}

std::vector<Sighting> Sightings::rows() const {
  std::vector<Sighting> rows;
  append(all_, "", rows);
  for (const auto& [dimension, values] : groups_) {
    for (const auto& [value, sights] : values) append(sights, dimension + " " + value, rows);
  }
  return rows;
}

result::CheckOutcome judge_sightings(const std::string& profile,
                                     const std::vector<Sighting>& sightings) {
  result::CheckOutcome outcome;
  outcome.id = "coverage.window";
  outcome.title = "Every required attribute was seen [" + profile + "]";
  outcome.group = "coverage";
  outcome.source = "profile " + profile + ": what must be on every span";
  Recorder recorder(outcome, nullptr);
  for (const Sighting& row : sightings) {
    if (!row.group.empty()) continue;
    recorder.examined();
    if (row.present > 0) continue;
    const std::string actual =
        row.total == 0 ? "no span of this type" : "on none of " + std::to_string(row.total);
    recorder.violation({.level = row.level,
                        .fold = row.span_type + " " + row.attribute,
                        .signal = row.span_type == "resource" ? "resource" : "span",
                        .subject = row.span_type + " " + row.attribute,
                        .message = row.attribute + " " + result::to_string(row.level) +
                                   " be on each " + row.span_type +
                                   ", and was not seen at all: " + actual,
                        .expected = row.attribute,
                        .actual = actual,
                        .context = {{"attribute", row.attribute}, {"profile", profile}}});
  }
  recorder.not_applicable("the profile requires no attribute");
  recorder.finish();
  return outcome;
}

}  // namespace touchstone::conformance
