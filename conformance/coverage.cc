#include "conformance/coverage.h"

#include "conformance/checks/attribute_rules.h"

namespace touchstone::conformance {
namespace {

using result::CoverageRow;
using result::Level;

/// "gen_ai.usage.prompt_tokens" → "gen_ai.usage".
std::string namespace_of(const std::string& key) {
  const size_t dot = key.rfind('.');
  return dot == std::string::npos ? key : key.substr(0, dot);
}

}  // namespace

Coverage::Coverage(const CompiledProfile& profile) : profile_(profile) {
  for (const CompiledType& type : profile.types()) {
    types_.emplace_back();
    types_.back().present.resize(type.rules().size());
    types_.back().due.resize(type.rules().size());
  }
  resource_.present.resize(profile.resource_rules().size());
  resource_.due.resize(profile.resource_rules().size());
}

void Coverage::Counts::add_other(const std::string& key) {
  if (const auto known = others.find(key); known != others.end()) {
    ++known->second;
  } else if (others.size() < kOthersMax) {
    others[key] = 1;
  }
}

void Coverage::add(const SpanView& view) {
  Counts& counts = types_[view.type->index()];
  ++counts.total;
  for (size_t i = 0; i < counts.present.size(); ++i) {
    const AttributeRule& rule = *view.type->rules()[i].rule;
    const bool due = rule.presence != Presence::kWhen || is_due(rule, view.span->attributes);
    counts.due[i] += due;
    counts.present[i] += due && view.values[i] != nullptr;
  }
  for (const telemetry::KeyValue* attribute : view.rest) counts.add_other(attribute->key);
}

void Coverage::add_resource(const telemetry::Resource& resource) {
  ++resource_.total;
  const std::vector<CompiledRule>& rules = profile_.resource_rules();
  for (size_t i = 0; i < rules.size(); ++i) {
    const AttributeRule& rule = *rules[i].rule;
    const bool due = rule.presence != Presence::kWhen || is_due(rule, resource.attributes);
    resource_.due[i] += due;
    resource_.present[i] += due && telemetry::find(resource.attributes, rule.key) != nullptr;
  }
  for (const telemetry::KeyValue& attribute : resource.attributes) {
    bool known = false;
    for (const CompiledRule& rule : rules) known |= rule.rule->key == attribute.key;
    if (!known) resource_.add_other(attribute.key);
  }
}

void Coverage::append(const std::string& span_type, const std::vector<AttributeRule>& rules,
                      const Counts& counts, std::vector<CoverageRow>& rows) {
  const auto name_space = [&](const std::string& key) {
    return span_type == "resource" ? "resource" : namespace_of(key);
  };
  for (size_t i = 0; i < rules.size(); ++i) {
    if (counts.due[i] == 0) continue;
    const AttributeRule& rule = rules[i];
    rows.push_back({.name_space = name_space(rule.key),
                    .attribute = rule.key,
                    .span_type = span_type,
                    .level = rule.presence == Presence::kSometimes ? Level::kMay : rule.level,
                    .present = counts.present[i],
                    .total = counts.due[i]});
  }
  for (const auto& [key, present] : counts.others) {
    rows.push_back({.name_space = name_space(key),
                    .attribute = key,
                    .span_type = span_type,
                    .level = Level::kMay,
                    .present = present,
                    .total = counts.total});
  }
}

std::vector<CoverageRow> Coverage::rows() const {
  std::vector<CoverageRow> rows;
  const Profile& profile = profile_.profile();
  for (size_t i = 0; i < types_.size(); ++i) {
    const SpanType& type = profile.spans[i];
    if (!type.attributes.empty()) append(type.type, type.attributes, types_[i], rows);
  }
  if (!profile.resource.empty()) append("resource", profile.resource, resource_, rows);
  return rows;
}

}  // namespace touchstone::conformance
