// Reads the span types of a profile: match, expectations, attributes, relations, family.
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "conformance/profile/reader.h"
#include "conformance/profile/relation.h"

namespace touchstone::conformance {
namespace {

using result::Level;

void read_attribute(const Fields& fields, AttributeRule& rule) {
  static const Words<ValueType> kTypes = {
      {"any", ValueType::kAny},       {"string", ValueType::kString},
      {"bool", ValueType::kBool},     {"int", ValueType::kInt},
      {"double", ValueType::kDouble}, {"string[]", ValueType::kStringArray},
      {"array", ValueType::kArray}};
  static const Words<Presence> kPresences = {{"always", Presence::kAlways},
                                             {"when", Presence::kWhen},
                                             {"sometimes", Presence::kSometimes}};
  rule.type = fields.optional_enum("type", kTypes).value_or(rule.type);
  rule.level = level_of(fields, rule.level);
  if (const auto presence = fields.optional_enum("presence", kPresences)) {
    rule.presence = *presence;
    if (*presence != Presence::kWhen) rule.when.reset();  // the base's
  }
  if (fields.has("when")) rule.when = read_condition(fields.object("when"));
  if ((rule.presence == Presence::kWhen) != rule.when.has_value()) {
    fields.fail("presence", "`presence: when` and a `when` condition go together");
  }
  read(fields, "unit", rule.unit);
  read(fields, "min", rule.min);
  read(fields, "max", rule.max);
  if (rule.min && rule.max && *rule.min > *rule.max) {
    fields.fail(fields.has("min") ? "min" : "max", "min is larger than max");
  }
  read_scalars(fields, "one_of", rule.one_of);
  std::optional<std::string> pattern;
  read_pattern(fields, "pattern", pattern);
  if (pattern) rule.pattern = *pattern;
  read(fields, "brief", rule.brief);
}

void read_relation(const Fields& fields, Relation& relation) {
  Result<Relation> parsed = parse_relation(fields.required_string("relation"));
  if (!parsed) {
    fields.fail("relation", parsed.error().message);
    return;
  }
  relation.text = parsed->text;
  relation.left = parsed->left;
  relation.op = parsed->op;
  relation.right = parsed->right;
  relation.tolerance = fields.optional_double("tolerance").value_or(relation.tolerance);
  if (!(relation.tolerance >= 0)) fields.fail("tolerance", "expected a number of at least 0");
  if (fields.has("when")) relation.when = read_condition(fields.object("when"));
  relation.level = level_of(fields, relation.level);
  read(fields, "reason", relation.reason);
}

void read_counts(const Fields& fields, int64_t& min, std::optional<int64_t>& max) {
  min = fields.optional_int("min").value_or(min);
  read(fields, "max", max);
  if (min < 0) fields.fail("min", "expected a number of at least 0");
  if (max && *max < min) fields.fail("max", "is smaller than min");
}

void read_events(const Fields& expect, SpanType& type) {
  read(expect, "max_events", type.max_events);
  read_keyed(expect, "events", type.events, "name", &EventRule::name,
             [](const Fields& fields, EventRule& rule) {
               read_counts(fields, rule.min, rule.max);
               rule.level = level_of(fields, rule.level);
               if (fields.has("when")) rule.when = read_condition(fields.object("when"));
             });
  type.unknown_events = level_or_allow(expect, "unknown_events", type.unknown_events);
  read(expect, "min_links", type.min_links);
  read(expect, "max_links", type.max_links);
}

/// A text, or a list of texts.
std::vector<std::string> one_or_several(const Fields& fields, const std::string& key) {
  if (!fields.raw(key).is_string()) return fields.strings(key);
  return {fields.required_string(key)};
}

void read_expectations(const Fields& expect, SpanType& type) {
  static const Words<telemetry::StatusCode> kStatuses = {{"unset", telemetry::StatusCode::kUnset},
                                                         {"ok", telemetry::StatusCode::kOk},
                                                         {"error", telemetry::StatusCode::kError}};
  read_pattern(expect, "name_pattern", type.name_pattern);
  read(expect, "name_of", type.name_of);
  if (const auto kind = expect.optional_enum("kind", kind_words())) type.kind = kind;
  if (expect.has("scope")) type.scopes = one_or_several(expect, "scope");
  read(expect, "schema_url", type.schema_url);
  if (expect.has("status")) type.statuses.clear();
  for (const std::string& word : expect.strings("status")) {
    bool known = false;
    for (const auto& [name, code] : kStatuses) {
      if (name == word) type.statuses.push_back(code);
      known = known || name == word;
    }
    if (!known) expect.fail("status", "got \"" + word + "\", expected unset, ok or error");
  }
  read_events(expect, type);
}

void read_children(const Fields& fields, Children& children) {
  static const Words<Layout> kLayouts = {
      {"any", Layout::kAny}, {"apart", Layout::kApart}, {"tile", Layout::kTile}};
  read_keyed(fields, "of", children.of, "type", &ChildRule::type,
             [](const Fields& item, ChildRule& rule) { read_counts(item, rule.min, rule.max); });
  children.others = level_or_allow(fields, "others", children.others);
  children.inside = fields.optional_bool("inside").value_or(children.inside);
  children.layout = fields.optional_enum("layout", kLayouts).value_or(children.layout);
  children.tolerance_ns = fields.optional_duration_ns("tolerance").value_or(children.tolerance_ns);
  children.level = level_of(fields, children.level);
  children.where = fields.where();
}

void read_match(const Fields& match, SpanMatch& onto) {
  read(match, "name", onto.name);
  read_pattern(match, "name_pattern", onto.name_pattern);
  if (const auto kind = match.optional_enum("kind", kind_words())) onto.kind = kind;
  read(match, "scope", onto.scope);
  const Fields resource = match.object("resource");
  for (const std::string& name : resource.keys()) {
    onto.resource[name] = resource.required_string(name);
  }
  if (match.keys().empty()) match.fail("", "is empty, expected at least one property");
}

void read_span_type(const Fields& fields, SpanType& type) {
  const bool is_new = type.where.empty();
  read(fields, "brief", type.brief);
  type.is_request = fields.optional_bool("request").value_or(type.is_request);
  if (is_new || fields.has("match")) read_match(fields.required_object("match"), type.match);
  read_expectations(fields.object("expect"), type);
  read(fields, "parent", type.parents);
  if (fields.has("children")) {
    if (!type.children) type.children.emplace();
    read_children(fields.object("children"), *type.children);
  }
  read_attributes(fields, type.attributes);
  read_forbidden(fields, "forbidden", type.forbidden);
  for (const AttributeRule& rule : type.attributes) {
    for (const ForbiddenKey& forbidden : type.forbidden) {
      if (rule.key != forbidden.key) continue;
      fields.fail("forbidden", rule.key + " is both required and forbidden");
    }
  }
  type.unknown_attributes = level_or_allow(fields, "unknown_attributes", type.unknown_attributes);
  read_keyed(fields, "relations", type.relations, "relation", &Relation::text, read_relation);
}

/// Every name of a type must be one that the profile has.
void check_type_names(const Fields& root, const std::vector<SpanType>& types) {
  std::set<std::string> names;
  for (const SpanType& type : types) names.insert(type.type);
  const auto check = [&](const std::string& name, const std::string& where) {
    if (names.contains(name)) return;
    root.fail("spans", "got the type " + quote(name) + " at " + where +
                           ", expected one of: " + join({names.begin(), names.end()}, ", "));
  };
  for (const SpanType& type : types) {
    for (const std::string& parent : type.parents) check(parent, type.where);
    for (const Relation& relation : type.relations) {
      for (const auto* side : {&relation.left, &relation.right}) {
        for (const Relation::Term& term : *side) {
          if (!term.child_type.empty()) check(term.child_type, relation.where);
        }
      }
    }
    if (!type.children) continue;
    for (const ChildRule& child : type.children->of) check(child.type, child.where);
  }
}

}  // namespace

void read_attributes(const Fields& fields, std::vector<AttributeRule>& rules) {
  read_keyed(fields, "attributes", rules, "key", &AttributeRule::key, read_attribute);
}

void read_forbidden(const Fields& fields, const std::string& list,
                    std::vector<ForbiddenKey>& keys) {
  read_keyed(fields, list, keys, "key", &ForbiddenKey::key,
             [](const Fields& item, ForbiddenKey& key) {
               key.level = level_of(item, key.level);
               if (key.reason.empty() || item.has("reason")) {
                 key.reason = item.required_string("reason");
               }
             });
}

void read_span_types(const Fields& root, std::vector<SpanType>& types) {
  read_keyed(root, "spans", types, "type", &SpanType::type, read_span_type);
  check_type_names(root, types);
}

}  // namespace touchstone::conformance
