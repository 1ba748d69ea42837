#include "conformance/profile/diff.h"

#include <map>
#include <utility>

#include "base/text.h"

namespace touchstone::conformance {
namespace {

using Rules = std::map<std::string, std::string>;  // rule → what it demands

/// What a rule demands, item by item, those left out that say nothing.
class Demands final {
 public:
  Demands& add(const std::string& text) {
    if (!text.empty()) items_.push_back(text);
    return *this;
  }
  Demands& add(const std::string& name, const std::string& value) {
    return value.empty() ? *this : add(name + " " + value);
  }
  Demands& add(const std::string& name, std::optional<double> number) {
    return number ? add(name + " " + format_double(*number)) : *this;
  }
  Demands& add(const std::string& name, std::optional<int64_t> number) {
    return number ? add(name + " " + std::to_string(*number)) : *this;
  }
  Demands& add(const std::string& name, const std::vector<std::string>& texts) {
    return add(name, join(texts, " | "));
  }
  std::string text() const { return items_.empty() ? "is there" : join(items_, ", "); }

 private:
  std::vector<std::string> items_;
};

std::string level_text(std::optional<result::Level> level) {
  return level ? result::to_string(*level) : "allowed";
}

std::string condition_text(const std::optional<Condition>& when) {
  if (!when) return "";
  if (when->absent) return "when " + when->key + " is absent";
  return "when " + when->key + (when->equals ? " is " + *when->equals : " is there");
}

std::string text_of(const AttributeRule& rule) {
  Demands demands;
  demands.add(to_string(rule.type)).add(result::to_string(rule.level));
  if (rule.presence == Presence::kSometimes) demands.add("may be absent");
  if (rule.presence == Presence::kWhen) demands.add(condition_text(rule.when));
  return demands.add("unit", rule.unit)
      .add("min", rule.min)
      .add("max", rule.max)
      .add("one of", rule.one_of)
      .add("pattern", rule.pattern)
      .text();
}

std::string text_of(const Relation& relation) {
  Demands demands;
  demands.add(result::to_string(relation.level)).add(condition_text(relation.when));
  if (relation.tolerance > 0) demands.add("tolerance", std::optional<double>(relation.tolerance));
  return demands.text();
}

std::string text_of(const MetricRule& rule) {
  Demands demands;
  demands.add(rule.type).add(result::to_string(rule.level)).add("labels", rule.labels);
  demands.add("labels that may be there", rule.optional_labels);
  for (const auto& [label, values] : rule.values) demands.add(label, values);
  std::vector<std::string> bounds;
  for (const double bound : rule.buckets) bounds.push_back(format_double(bound));
  return demands.add("buckets", bounds).add("min", rule.min).add("max", rule.max).text();
}

std::string text_of(const Reconciliation& rule) {
  Demands demands;
  demands.add(result::to_string(rule.level)).add("of", rule.name).add("by", rule.label);
  demands.add("without", rule.failed_label);
  if (rule.counts_hung_up) demands.add("counts requests that were hung up");
  if (rule.tolerance > 0) demands.add("tolerance", std::optional<double>(rule.tolerance));
  return demands.text();
}

const char* amount_text(AccountingRule::Amount amount) {
  switch (amount) {
    case AccountingRule::Amount::kNone:
      return "none";
    case AccountingRule::Amount::kOne:
      return "one";
    case AccountingRule::Amount::kAll:
      return "all";
  }
  return "all";
}

void add_forbidden(const std::vector<ForbiddenKey>& keys, const std::string& where, Rules& rules) {
  for (const ForbiddenKey& key : keys) {
    rules["forbidden " + key.key + where] = result::to_string(key.level);
  }
}

std::string match_text(const SpanMatch& match) {
  Demands demands;
  demands.add("name", match.name.value_or(""))
      .add("name pattern", match.name_pattern.value_or(""))
      .add("scope", match.scope.value_or(""));
  if (match.kind) demands.add(to_string(*match.kind));
  for (const auto& [key, text] : match.resource) demands.add(key, text);
  return demands.text();
}

void add_children(const SpanType& type, Rules& rules) {
  if (!type.children) return;
  const Children& children = *type.children;
  for (const ChildRule& child : children.of) {
    rules["child " + child.type + " of " + type.type] =
        Demands().add("min", std::optional<int64_t>(child.min)).add("max", child.max).text();
  }
  const char* layout = children.layout == Layout::kTile    ? "tile"
                       : children.layout == Layout::kApart ? "apart"
                                                           : "any layout";
  rules["children of " + type.type] = Demands()
                                          .add(result::to_string(children.level))
                                          .add(layout)
                                          .add(children.inside ? "inside" : "anywhere")
                                          .add("others", level_text(children.others))
                                          .text();
}

void add_type(const SpanType& type, Rules& rules) {
  const std::string of = " of " + type.type;
  std::vector<std::string> statuses;
  for (const telemetry::StatusCode code : type.statuses) {
    statuses.push_back(std::to_string(static_cast<int>(code)));
  }
  rules["span " + type.type] = Demands()
                                   .add("match", match_text(type.match))
                                   .add(type.is_request ? "stands for a request" : "")
                                   .add("name", type.name_pattern.value_or(""))
                                   .add("kind", type.kind ? to_string(*type.kind) : "")
                                   .add("name of", type.name_of)
                                   .add("scope", type.scopes)
                                   .add("schema URL", type.schema_url.value_or(""))
                                   .add("status", statuses)
                                   .add("max events", type.max_events)
                                   .add("min links", type.min_links)
                                   .add("max links", type.max_links)
                                   .add("parent", type.parents)
                                   .add("other attributes", level_text(type.unknown_attributes))
                                   .text();
  for (const AttributeRule& rule : type.attributes) {
    rules["attribute " + rule.key + of] = text_of(rule);
  }
  for (const Relation& relation : type.relations) {
    rules["relation " + relation.text + of] = text_of(relation);
  }
  for (const EventRule& event : type.events) {
    rules["event " + event.name + of] = Demands()
                                            .add(result::to_string(event.level))
                                            .add("min", std::optional<int64_t>(event.min))
                                            .add("max", event.max)
                                            .text();
  }
  add_forbidden(type.forbidden, " on " + type.type, rules);
  add_children(type, rules);
}

void add_accounting(const Accounting& accounting, Rules& rules) {
  const std::pair<const char*, const AccountingRule*> outcomes[] = {
      {"completed", &accounting.completed},
      {"hung up", &accounting.hung_up},
      {"refused", &accounting.refused},
      {"failed", &accounting.failed},
      {"unsampled", &accounting.unsampled}};
  for (const auto& [name, rule] : outcomes) {
    rules[std::string("accounting ") + name] =
        std::string(amount_text(rule->least)) + " to " + amount_text(rule->most);
  }
  rules["accounting per"] = accounting.per == Accounting::Per::kChoice ? "choice" : "request";
}

Rules rules_of(const Profile& profile) {
  Rules rules;
  for (const AttributeRule& rule : profile.resource) {
    rules["resource attribute " + rule.key] = text_of(rule);
  }
  add_forbidden(profile.resource_forbidden, " on resources", rules);
  add_forbidden(profile.forbidden_keys, " anywhere", rules);
  for (const ForbiddenValue& value : profile.forbidden_values) {
    rules["forbidden value /" + value.pattern + "/"] =
        Demands().add(result::to_string(value.level)).add("except", value.except).text();
  }
  for (const SpanType& type : profile.spans) add_type(type, rules);
  for (const MetricRule& rule : profile.metrics) rules["metric " + rule.name] = text_of(rule);
  for (const Reconciliation& rule : profile.reconciliations) {
    rules["agreement of " + rule.metric] = text_of(rule);
  }
  for (const Rename& rename : profile.renames) {
    rules["other name of " + rename.key + ": " + rename.other] = "since " + rename.since;
  }
  rules["spans of no type"] = level_text(profile.unknown_spans);
  rules["spans of other services"] =
      Demands().add("service", profile.service).add(level_text(profile.other_services)).text();
  rules["spans delivered again"] = level_text(profile.redelivery);
  if (profile.accounting) add_accounting(*profile.accounting, rules);
  if (profile.topology) {
    rules["topology"] =
        Demands()
            .add(profile.topology->parent == ParentRule::kClientSpan ? "below the client's span"
                                                                     : "any parent")
            .add("remote flag", level_text(profile.topology->remote_flag))
            .add(profile.topology->orphans_allowed ? "orphans allowed" : "")
            .text();
  }
  rules["clocks"] = format_duration(profile.time.clock_skew_ns);
  if (profile.time.max_duration_ns) {
    rules["longest span"] = format_duration(*profile.time.max_duration_ns);
  }
  return rules;
}

}  // namespace

std::vector<ProfileDifference> diff(const Profile& before, const Profile& after) {
  const Rules old_rules = rules_of(before);
  const Rules new_rules = rules_of(after);
  Rules all = old_rules;
  all.insert(new_rules.begin(), new_rules.end());
  std::vector<ProfileDifference> differences;
  for (const auto& [rule, text] : all) {
    const auto old_one = old_rules.find(rule);
    const auto new_one = new_rules.find(rule);
    ProfileDifference difference{rule, old_one == old_rules.end() ? "" : old_one->second,
                                 new_one == new_rules.end() ? "" : new_one->second};
    if (difference.before != difference.after) differences.push_back(std::move(difference));
  }
  return differences;
}

}  // namespace touchstone::conformance
