#include "conformance/coverage.h"

#include <map>

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

CoverageRow row_of(const std::string& span_type, const AttributeRule& rule) {
  return {.name_space = span_type == "resource" ? "resource" : namespace_of(rule.key),
          .attribute = rule.key,
          .span_type = span_type,
          .level = rule.presence == Presence::kSometimes ? Level::kMay : rule.level};
}

/// Adds what `attributes` has of the rules to the rows, and keys beyond them to `others`.
void count(const std::vector<AttributeRule>& rules, const telemetry::Attributes& attributes,
           std::vector<CoverageRow>& rows, std::map<std::string, int64_t>& others) {
  for (size_t i = 0; i < rules.size(); ++i) {
    const bool present = telemetry::find(attributes, rules[i].key) != nullptr;
    const bool counts = rules[i].presence != Presence::kWhen || is_due(rules[i], attributes);
    rows[i].present += present && counts;
    rows[i].total += counts;
  }
  for (const telemetry::KeyValue& attribute : attributes) {
    bool known = false;
    for (const AttributeRule& rule : rules) known |= rule.key == attribute.key;
    if (!known) ++others[attribute.key];
  }
}

void append(const std::string& span_type, int64_t total, const std::vector<CoverageRow>& rows,
            const std::map<std::string, int64_t>& others, std::vector<CoverageRow>& all) {
  for (const CoverageRow& row : rows) {
    if (row.total > 0) all.push_back(row);
  }
  for (const auto& [key, present] : others) {
    all.push_back({.name_space = span_type == "resource" ? "resource" : namespace_of(key),
                   .attribute = key,
                   .span_type = span_type,
                   .level = Level::kMay,
                   .present = present,
                   .total = total});
  }
}

}  // namespace

std::vector<CoverageRow> attribute_coverage(const SpanIndex& index, const Profile& profile) {
  std::vector<CoverageRow> all;
  for (const SpanType& type : profile.spans) {
    if (type.attributes.empty()) continue;
    std::vector<CoverageRow> rows;
    for (const AttributeRule& rule : type.attributes) rows.push_back(row_of(type.type, rule));
    std::map<std::string, int64_t> others;
    int64_t total = 0;
    for (const SpanView& view : index.spans) {
      if (view.type != &type) continue;
      ++total;
      count(type.attributes, view.span->attributes, rows, others);
    }
    append(type.type, total, rows, others, all);
  }
  if (profile.resource.empty()) return all;
  std::vector<CoverageRow> rows;
  for (const AttributeRule& rule : profile.resource) rows.push_back(row_of("resource", rule));
  std::map<std::string, int64_t> others;
  for (const telemetry::Resource* resource : index.resources) {
    count(profile.resource, resource->attributes, rows, others);
  }
  append("resource", static_cast<int64_t>(index.resources.size()), rows, others, all);
  return all;
}

}  // namespace touchstone::conformance
