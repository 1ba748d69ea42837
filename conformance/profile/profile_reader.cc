// Reads a profile. Source of the format: conformance/profiles/profile.schema.json.
#include <nlohmann/json.hpp>
#include <set>

#include "base/document.h"
#include "conformance/profile/pattern.h"
#include "conformance/profile/profile.h"
#include "conformance/profile/relation.h"

namespace touchstone::conformance {
namespace {

using result::Level;

template <typename E>
using Words = std::vector<std::pair<std::string, E>>;

const Words<Level>& level_words() {
  static const Words<Level> kWords = {
      {"MUST", Level::kMust}, {"SHOULD", Level::kShould}, {"MAY", Level::kMay}};
  return kWords;
}

Level level_of(const Fields& fields) {
  return fields.optional_enum("level", level_words()).value_or(Level::kMust);
}

/// A level, or "allow" for no rule at all; absent means `fallback`.
std::optional<Level> level_or_allow(const Fields& fields, const std::string& key,
                                    std::optional<Level> fallback) {
  static const Words<std::optional<Level>> kWords = {{"MUST", Level::kMust},
                                                     {"SHOULD", Level::kShould},
                                                     {"MAY", Level::kMay},
                                                     {"allow", std::nullopt}};
  const auto word = fields.optional_enum(key, kWords);
  return word ? *word : fallback;
}

std::vector<double> doubles(const Fields& fields, const std::string& key) {
  std::vector<double> values;
  const nlohmann::json& list = fields.raw(key);
  if (list.is_null()) return values;
  bool good = list.is_array();
  for (const auto& item : list) {
    good = good && item.is_number();
    if (good) values.push_back(item.get<double>());
  }
  if (!good) fields.fail(key, "expected a list of numbers");
  return values;
}

std::map<std::string, std::string> string_map(const Fields& fields, const std::string& key) {
  std::map<std::string, std::string> map;
  const Fields object = fields.object(key);
  for (const std::string& name : object.keys()) map[name] = object.required_string(name);
  return map;
}

/// Also for enums and `equals`, where a person may write a number or true.
std::string scalar_text(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void check_pattern(const Fields& fields, const std::string& key,
                   const std::optional<std::string>& pattern) {
  if (!pattern) return;
  const Result<Pattern> compiled = Pattern::compile(*pattern);
  if (!compiled) fields.fail(key, compiled.error().message);
}

AttributeRule read_attribute(const Fields& fields) {
  static const Words<ValueType> kTypes = {
      {"any", ValueType::kAny},       {"string", ValueType::kString},
      {"bool", ValueType::kBool},     {"int", ValueType::kInt},
      {"double", ValueType::kDouble}, {"string[]", ValueType::kStringArray},
      {"array", ValueType::kArray}};
  static const Words<Presence> kPresences = {{"always", Presence::kAlways},
                                             {"when", Presence::kWhen},
                                             {"sometimes", Presence::kSometimes}};
  AttributeRule rule;
  rule.where = fields.where();
  rule.key = fields.required_string("key");
  rule.type = fields.optional_enum("type", kTypes).value_or(ValueType::kAny);
  rule.level = level_of(fields);
  rule.presence = fields.optional_enum("presence", kPresences).value_or(Presence::kAlways);
  if (fields.has("when")) {
    const Fields when = fields.object("when");
    Condition condition{.key = when.required_string("key"), .equals = std::nullopt};
    if (when.has("equals")) condition.equals = scalar_text(when.raw("equals"));
    rule.when = condition;
  }
  if ((rule.presence == Presence::kWhen) != rule.when.has_value()) {
    fields.fail("presence", "`presence: when` and a `when` condition go together");
  }
  rule.unit = fields.optional_string("unit").value_or("");
  rule.min = fields.optional_double("min");
  rule.max = fields.optional_double("max");
  if (rule.min && rule.max && *rule.min > *rule.max) fields.fail("min", "is larger than max");
  const nlohmann::json& one_of = fields.raw("one_of");
  if (!one_of.is_null() && !one_of.is_array()) fields.fail("one_of", "expected a list");
  if (one_of.is_array()) {
    for (const auto& value : one_of) rule.one_of.push_back(scalar_text(value));
  }
  const auto pattern = fields.optional_string("pattern");
  check_pattern(fields, "pattern", pattern);
  rule.pattern = pattern.value_or("");
  rule.brief = fields.optional_string("brief").value_or("");
  return rule;
}

std::vector<AttributeRule> read_attributes(const Fields& fields) {
  std::vector<AttributeRule> rules;
  std::set<std::string> seen;
  for (const Fields& item : fields.objects("attributes")) {
    rules.push_back(read_attribute(item));
    if (!seen.insert(rules.back().key).second) {
      item.fail("key", "got " + rules.back().key + " twice, expected one rule a key");
    }
  }
  return rules;
}

std::vector<ForbiddenKey> read_forbidden(const Fields& fields) {
  std::vector<ForbiddenKey> keys;
  for (const Fields& item : fields.objects("forbidden")) {
    keys.push_back({.key = item.required_string("key"),
                    .level = level_of(item),
                    .reason = item.required_string("reason"),
                    .where = item.where()});
  }
  return keys;
}

std::vector<Relation> read_relations(const Fields& fields) {
  std::vector<Relation> relations;
  for (const Fields& item : fields.objects("relations")) {
    Result<Relation> relation = parse_relation(item.required_string("relation"));
    if (!relation) {
      item.fail("relation", relation.error().message);
      continue;
    }
    relation->tolerance = item.optional_double("tolerance").value_or(0);
    if (!(relation->tolerance >= 0)) item.fail("tolerance", "expected a number of at least 0");
    relation->level = level_of(item);
    relation->reason = item.optional_string("reason").value_or("");
    relation->where = item.where();
    relations.push_back(*std::move(relation));
  }
  return relations;
}

const Words<telemetry::SpanKind>& kind_words() {
  using telemetry::SpanKind;
  static const Words<SpanKind> kWords = {
      {"internal", SpanKind::kInternal}, {"server", SpanKind::kServer},
      {"client", SpanKind::kClient},     {"producer", SpanKind::kProducer},
      {"consumer", SpanKind::kConsumer}, {"unspecified", SpanKind::kUnspecified}};
  return kWords;
}

void read_expectations(const Fields& expect, SpanType& type) {
  static const Words<telemetry::StatusCode> kStatuses = {{"unset", telemetry::StatusCode::kUnset},
                                                         {"ok", telemetry::StatusCode::kOk},
                                                         {"error", telemetry::StatusCode::kError}};
  type.name_pattern = expect.optional_string("name_pattern");
  check_pattern(expect, "name_pattern", type.name_pattern);
  type.kind = expect.optional_enum("kind", kind_words());
  type.scope = expect.optional_string("scope");
  type.schema_url = expect.optional_string("schema_url");
  for (const std::string& word : expect.strings("status")) {
    bool known = false;
    for (const auto& [name, code] : kStatuses) {
      if (name == word) type.statuses.push_back(code);
      known = known || name == word;
    }
    if (!known) expect.fail("status", "got \"" + word + "\", expected unset, ok or error");
  }
  type.max_events = expect.optional_int("max_events");
}

SpanType read_span_type(const Fields& fields) {
  SpanType type;
  type.where = fields.where();
  type.type = fields.required_string("type");
  type.brief = fields.optional_string("brief").value_or("");
  type.is_request = fields.optional_bool("request").value_or(false);
  const Fields match = fields.required_object("match");
  type.match.name = match.optional_string("name");
  type.match.name_pattern = match.optional_string("name_pattern");
  check_pattern(match, "name_pattern", type.match.name_pattern);
  type.match.kind = match.optional_enum("kind", kind_words());
  type.match.scope = match.optional_string("scope");
  type.match.resource = string_map(match, "resource");
  if (match.keys().empty()) fields.fail("match", "is empty, expected at least one property");
  read_expectations(fields.object("expect"), type);
  type.attributes = read_attributes(fields);
  type.forbidden = read_forbidden(fields);
  for (const AttributeRule& rule : type.attributes) {
    for (const ForbiddenKey& forbidden : type.forbidden) {
      if (rule.key != forbidden.key) continue;
      fields.fail("forbidden", rule.key + " is both required and forbidden");
    }
  }
  type.unknown_attributes = level_or_allow(fields, "unknown_attributes", std::nullopt);
  type.relations = read_relations(fields);
  return type;
}

AccountingRule read_accounting_rule(const Fields& fields) {
  using Amount = AccountingRule::Amount;
  static const Words<Amount> kAmounts = {{"none", Amount::kNone}, {"choices", Amount::kChoices}};
  AccountingRule rule;
  rule.least = fields.optional_enum("least", kAmounts).value_or(Amount::kNone);
  rule.most = fields.optional_enum("most", kAmounts).value_or(rule.least);
  if (rule.least == Amount::kChoices && rule.most == Amount::kNone) {
    fields.fail("most", "is less than `least`");
  }
  rule.reason = fields.optional_string("reason").value_or("");
  return rule;
}

Accounting read_accounting(const Fields& fields) {
  return {.completed = read_accounting_rule(fields.required_object("completed")),
          .hung_up = read_accounting_rule(fields.required_object("hung_up")),
          .refused = read_accounting_rule(fields.required_object("refused")),
          .failed = read_accounting_rule(fields.required_object("failed")),
          .unsampled = read_accounting_rule(fields.required_object("unsampled"))};
}

Topology read_topology(const Fields& fields) {
  static const Words<ParentRule> kParents = {{"any", ParentRule::kAny},
                                             {"client_span", ParentRule::kClientSpan}};
  Topology topology;
  topology.parent = fields.optional_enum("parent", kParents).value_or(ParentRule::kAny);
  topology.remote_flag = level_or_allow(fields, "remote_flag", std::nullopt);
  topology.orphans_allowed = fields.optional_bool("orphans_allowed").value_or(false);
  return topology;
}

MetricRule read_metric(const Fields& fields) {
  static const Words<std::string> kTypes = {{"counter", "counter"},
                                            {"gauge", "gauge"},
                                            {"histogram", "histogram"},
                                            {"summary", "summary"}};
  MetricRule rule;
  rule.where = fields.where();
  rule.name = fields.required_string("name");
  rule.type = fields.optional_enum("type", kTypes).value_or("");
  if (rule.type.empty())
    fields.fail("type", "missing, expected counter, gauge, histogram, summary");
  rule.level = level_of(fields);
  rule.labels = fields.strings("labels");
  const Fields values = fields.object("values");
  for (const std::string& label : values.keys()) rule.values[label] = values.strings(label);
  rule.buckets = doubles(fields, "buckets");
  rule.min = fields.optional_double("min");
  rule.max = fields.optional_double("max");
  return rule;
}

Reconciliation read_reconciliation(const Fields& fields, const Profile& profile) {
  Reconciliation rule;
  rule.where = fields.where();
  rule.level = level_of(fields);
  rule.counts_hung_up = fields.optional_bool("counts_hung_up").value_or(false);
  rule.tolerance = fields.optional_double("tolerance").value_or(0);
  const auto counter = fields.optional_string("counter");
  const auto requests = fields.optional_string("requests");
  const auto histogram = fields.optional_string("histogram");
  if (counter.has_value() + requests.has_value() + histogram.has_value() != 1) {
    fields.fail("", "expected exactly one of `counter`, `requests`, `histogram`");
    return rule;
  }
  if (requests) {
    rule.kind = Reconciliation::Kind::kRequests;
    rule.metric = *requests;
    rule.label = fields.required_string("label");
    return rule;
  }
  rule.kind = counter ? Reconciliation::Kind::kCounter : Reconciliation::Kind::kHistogram;
  rule.metric = counter ? *counter : *histogram;
  rule.name = fields.required_string("of");
  if (!profile.names.contains(rule.name)) {
    fields.fail("of", "got \"" + rule.name + "\", expected a word of `names`");
  }
  return rule;
}

void read_rest(const Fields& root, Profile& profile) {
  if (root.has("topology")) profile.topology = read_topology(root.object("topology"));
  if (root.has("accounting")) profile.accounting = read_accounting(root.object("accounting"));
  const Fields time = root.object("time");
  profile.time.clock_skew_ns =
      time.optional_duration_ns("clock_skew").value_or(profile.time.clock_skew_ns);
  profile.time.max_duration_ns = time.optional_duration_ns("max_duration");
  for (const Fields& item : root.objects("metrics")) profile.metrics.push_back(read_metric(item));
  for (const Fields& item : root.objects("reconcile")) {
    profile.reconciliations.push_back(read_reconciliation(item, profile));
  }
  for (const Fields& item : root.objects("renames")) {
    profile.renames.push_back({.key = item.required_string("key"),
                               .other = item.required_string("other"),
                               .since = item.required_string("since")});
  }
}

}  // namespace

Result<Profile> parse_profile(const std::string& file, std::string_view yaml) {
  Result<Document> document = Document::parse_yaml(file, yaml);
  if (!document) return document.error();
  const Fields root = document->root();
  Profile profile;
  profile.where = file;
  profile.name = root.required_string("profile");
  profile.version = root.required_string("version");
  profile.convention = root.required_string("convention");
  profile.description = root.optional_string("description").value_or("");
  profile.source = root.required_string("source");
  profile.names = string_map(root, "names");
  const Fields resource = root.object("resource");
  profile.resource = read_attributes(resource);
  profile.resource_forbidden = read_forbidden(resource);
  std::set<std::string> types;
  for (const Fields& item : root.objects("spans")) {
    profile.spans.push_back(read_span_type(item));
    if (!types.insert(profile.spans.back().type).second) {
      item.fail("type", "got the type twice, expected it once");
    }
  }
  profile.unknown_spans = level_or_allow(root, "unknown_spans", Level::kMust);
  read_rest(root, profile);
  if (profile.spans.empty() && profile.metrics.empty()) {
    document->fail("", "has neither `spans` nor `metrics`: it would check nothing");
  }
  RETURN_IF_ERROR(document->finish());
  return profile;
}

}  // namespace touchstone::conformance
