// Reads a profile. Source of the format: conformance/profiles/profile.schema.json.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/sha256.h"
#include "base/text.h"
#include "conformance/profile/reader.h"

namespace touchstone::conformance {
namespace {

using result::Level;

// More bases than that are a circle.
constexpr size_t kBasesMax = 8;

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

/// Also for enums and `equals`, where a person may write a number or true.
std::string scalar_text(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void read_accounting_rule(const Fields& fields, Accounting::Per per, AccountingRule& rule) {
  using Amount = AccountingRule::Amount;
  Words<Amount> amounts = {{"none", Amount::kNone}, {"one", Amount::kAll}};
  if (per == Accounting::Per::kChoice) {
    amounts = {{"none", Amount::kNone}, {"one", Amount::kOne}, {"choices", Amount::kAll}};
  }
  const auto least = fields.optional_enum("least", amounts);
  rule.least = least.value_or(rule.least);
  rule.most = fields.optional_enum("most", amounts).value_or(least ? *least : rule.most);
  if (rule.least > rule.most) {
    fields.fail("most", "is less than `least`");
  }
  read(fields, "reason", rule.reason);
}

void read_accounting(const Fields& fields, std::optional<Accounting>& onto) {
  static const Words<Accounting::Per> kPers = {{"choice", Accounting::Per::kChoice},
                                               {"request", Accounting::Per::kRequest}};
  const bool is_new = !onto;
  if (is_new) onto.emplace();
  onto->per = fields.optional_enum("per", kPers).value_or(onto->per);
  const std::pair<const char*, AccountingRule*> rules[] = {{"completed", &onto->completed},
                                                           {"hung_up", &onto->hung_up},
                                                           {"refused", &onto->refused},
                                                           {"failed", &onto->failed},
                                                           {"unsampled", &onto->unsampled}};
  for (const auto& [key, rule] : rules) {
    if (is_new) {
      read_accounting_rule(fields.required_object(key), onto->per, *rule);
    } else if (fields.has(key)) {
      read_accounting_rule(fields.object(key), onto->per, *rule);
    }
  }
}

void read_topology(const Fields& fields, std::optional<Topology>& onto) {
  static const Words<ParentRule> kParents = {{"any", ParentRule::kAny},
                                             {"client_span", ParentRule::kClientSpan}};
  if (!onto) onto.emplace();
  onto->parent = fields.optional_enum("parent", kParents).value_or(onto->parent);
  onto->remote_flag = level_or_allow(fields, "remote_flag", onto->remote_flag);
  onto->orphans_allowed = fields.optional_bool("orphans_allowed").value_or(onto->orphans_allowed);
}

void read_metric(const Fields& fields, MetricRule& rule) {
  static const Words<std::string> kTypes = {{"counter", "counter"},
                                            {"gauge", "gauge"},
                                            {"histogram", "histogram"},
                                            {"summary", "summary"}};
  rule.type = fields.optional_enum("type", kTypes).value_or(rule.type);
  if (rule.type.empty())
    fields.fail("type", "missing, expected counter, gauge, histogram, summary");
  rule.level = level_of(fields, rule.level);
  read(fields, "labels", rule.labels);
  read(fields, "optional_labels", rule.optional_labels);
  const Fields values = fields.object("values");
  for (const std::string& label : values.keys()) rule.values[label] = values.strings(label);
  if (fields.has("buckets")) rule.buckets = doubles(fields, "buckets");
  read(fields, "min", rule.min);
  read(fields, "max", rule.max);
}

/// The metric that a reconcile rule is about; fails unless it is exactly one.
std::string reconciled_metric(const Fields& fields, Reconciliation::Kind& kind) {
  using Kind = Reconciliation::Kind;
  std::string metric;
  int named = 0;
  const std::pair<const char*, Kind> words[] = {
      {"counter", Kind::kCounter}, {"requests", Kind::kRequests}, {"histogram", Kind::kHistogram}};
  for (const auto& [word, of] : words) {
    const auto name = fields.optional_string(word);
    if (!name) continue;
    ++named;
    metric = *name;
    kind = of;
  }
  if (named != 1) fields.fail("", "expected exactly one of `counter`, `requests`, `histogram`");
  return metric;
}

void read_reconciliation(const Fields& fields, const Profile& profile, Reconciliation& rule) {
  rule.metric = reconciled_metric(fields, rule.kind);
  rule.level = level_of(fields, rule.level);
  rule.counts_hung_up = fields.optional_bool("counts_hung_up").value_or(rule.counts_hung_up);
  rule.tolerance = fields.optional_double("tolerance").value_or(rule.tolerance);
  read(fields, "failed_label", rule.failed_label);
  if (rule.kind == Reconciliation::Kind::kRequests) {
    if (rule.label.empty() || fields.has("label")) rule.label = fields.required_string("label");
    return;
  }
  if (rule.name.empty() || fields.has("of")) rule.name = fields.required_string("of");
  if (!profile.names.contains(rule.name) && rule.name != "duration") {
    fields.fail("of", "got \"" + rule.name + "\", expected a word of `names`, or duration");
  }
}

void read_time(const Fields& time, TimeRules& rules) {
  rules.clock_skew_ns = time.optional_duration_ns("clock_skew").value_or(rules.clock_skew_ns);
  if (time.has("max_duration")) rules.max_duration_ns = time.optional_duration_ns("max_duration");
}

void read_forbidden_values(const Fields& root, std::vector<ForbiddenValue>& values) {
  read_keyed(root, "forbidden_values", values, "pattern", &ForbiddenValue::pattern,
             [](const Fields& item, ForbiddenValue& value) {
               std::optional<std::string> pattern;
               read_pattern(item, "pattern", pattern, Pattern::Extent::kAnywhere);
               read(item, "except", value.except);
               value.level = level_of(item, value.level);
               if (value.reason.empty() || item.has("reason")) {
                 value.reason = item.required_string("reason");
               }
             });
}

void read_services(const Fields& fields, Profile& profile) {
  std::optional<std::string> service;
  read_pattern(fields, "name", service);
  if (service) profile.service = *service;
  profile.other_services = level_or_allow(fields, "others", profile.other_services);
}

void read_rest(const Fields& root, Profile& profile) {
  if (root.has("topology")) read_topology(root.object("topology"), profile.topology);
  if (root.has("accounting")) read_accounting(root.object("accounting"), profile.accounting);
  read_time(root.object("time"), profile.time);
  read_services(root.object("service"), profile);
  profile.redelivery = level_or_allow(root, "redelivery", profile.redelivery);
  read_forbidden(root, "forbidden_keys", profile.forbidden_keys);
  read_forbidden_values(root, profile.forbidden_values);
  read_keyed(root, "metrics", profile.metrics, "name", &MetricRule::name, read_metric);
  read_list(
      root, "reconcile", profile.reconciliations,
      [](const Reconciliation& rule) { return rule.metric; },
      [](const Fields& item) {
        Reconciliation::Kind kind{};
        return reconciled_metric(item, kind);
      },
      [&](const Fields& item, Reconciliation& rule) { read_reconciliation(item, profile, rule); });
  read_list(
      root, "renames", profile.renames,
      [](const Rename& rename) { return rename.key + " for " + rename.other; },
      [](const Fields& item) {
        return item.required_string("key") + " for " + item.required_string("other");
      },
      [](const Fields& item, Rename& rename) {
        rename.key = item.required_string("key");
        rename.other = item.required_string("other");
        rename.since = item.required_string("since");
      });
}

Result<Profile> parse(const std::string& file, std::string_view yaml, size_t depth);

/// The profile that `name` extends: shipped, or a file beside `file`.
Result<Profile> base_of(const std::string& file, const std::string& name, size_t depth) {
  if (depth >= kBasesMax) {
    return invalid_argument("more than " + std::to_string(kBasesMax) +
                            " profiles extend each other: is it a circle?");
  }
  const size_t folder = file.rfind('/');
  const bool is_path = name.find('/') != std::string::npos || name.ends_with(".yaml");
  const bool beside = is_path && !name.starts_with('/') && folder != std::string::npos;
  const auto text = profile_text(beside ? file.substr(0, folder + 1) + name : name);
  if (!text) return text.error();
  return parse(text->name, text->yaml, depth + 1);
}

Result<Profile> parse(const std::string& file, std::string_view yaml, size_t depth) {
  Result<Document> document = Document::parse_yaml(file, yaml);
  if (!document) return document.error();
  const Fields root = document->root();
  Profile profile;
  profile.unknown_spans = Level::kMust;
  if (const auto name = root.optional_string("extends")) {
    Result<Profile> base = base_of(file, *name, depth);
    if (!base) return std::move(base).error().with_context(root.where("extends") + ": extends");
    profile = *std::move(base);
  }
  const bool extends = !profile.name.empty();
  profile.where = file;
  profile.sources.insert(profile.sources.begin(), {file, sha256_hex(yaml)});
  profile.name = root.required_string("profile");
  const std::pair<const char*, std::string*> texts[] = {{"version", &profile.version},
                                                        {"convention", &profile.convention},
                                                        {"source", &profile.source}};
  for (const auto& [key, text] : texts) {
    if (!extends || root.has(key)) *text = root.required_string(key);
  }
  read(root, "description", profile.description);
  const Fields names = root.object("names");
  for (const std::string& name : names.keys()) profile.names[name] = names.required_string(name);
  const Fields resource = root.object("resource");
  read_attributes(resource, profile.resource);
  read_forbidden(resource, "forbidden", profile.resource_forbidden);
  read_span_types(root, profile.spans);
  profile.unknown_spans = level_or_allow(root, "unknown_spans", profile.unknown_spans);
  read_rest(root, profile);
  const bool judges_spans = !profile.spans.empty() || !profile.resource.empty() ||
                            !profile.forbidden_keys.empty() || !profile.forbidden_values.empty() ||
                            profile.redelivery.has_value();
  if (!judges_spans && profile.metrics.empty()) {
    document->fail("",
                   "has no `spans`, `resource`, `metrics` or forbidden keys or values: it would "
                   "check nothing");
  }
  RETURN_IF_ERROR(document->finish());
  return profile;
}

}  // namespace

Level level_of(const Fields& fields, Level base) {
  static const Words<Level> kWords = {
      {"MUST", Level::kMust}, {"SHOULD", Level::kShould}, {"MAY", Level::kMay}};
  return fields.optional_enum("level", kWords).value_or(base);
}

std::optional<Level> level_or_allow(const Fields& fields, const std::string& key,
                                    std::optional<Level> base) {
  static const Words<std::optional<Level>> kWords = {{"MUST", Level::kMust},
                                                     {"SHOULD", Level::kShould},
                                                     {"MAY", Level::kMay},
                                                     {"allow", std::nullopt}};
  const auto word = fields.optional_enum(key, kWords);
  return word ? *word : base;
}

const Words<telemetry::SpanKind>& kind_words() {
  using telemetry::SpanKind;
  static const Words<SpanKind> kWords = {
      {"internal", SpanKind::kInternal}, {"server", SpanKind::kServer},
      {"client", SpanKind::kClient},     {"producer", SpanKind::kProducer},
      {"consumer", SpanKind::kConsumer}, {"unspecified", SpanKind::kUnspecified}};
  return kWords;
}

void read(const Fields& fields, const std::string& key, std::string& field) {
  if (auto text = fields.optional_string(key)) field = *std::move(text);
}
void read(const Fields& fields, const std::string& key, std::optional<std::string>& field) {
  if (auto text = fields.optional_string(key)) field = std::move(text);
}
void read(const Fields& fields, const std::string& key, std::optional<double>& field) {
  if (const auto number = fields.optional_double(key)) field = number;
}
void read(const Fields& fields, const std::string& key, std::optional<int64_t>& field) {
  if (const auto number = fields.optional_int(key)) field = number;
}
void read(const Fields& fields, const std::string& key, std::vector<std::string>& field) {
  if (fields.has(key)) field = fields.strings(key);
}

void read_pattern(const Fields& fields, const std::string& key, std::optional<std::string>& field,
                  Pattern::Extent extent) {
  const auto pattern = fields.optional_string(key);
  if (!pattern) return;
  const Result<Pattern> compiled = Pattern::compile(*pattern, extent);
  if (!compiled) fields.fail(key, compiled.error().message);
  field = pattern;
}

void read_scalars(const Fields& fields, const std::string& key, std::vector<std::string>& field) {
  const nlohmann::json& list = fields.raw(key);
  if (list.is_null()) return;
  field.clear();
  if (!list.is_array()) fields.fail(key, "expected a list");
  if (!list.is_array()) return;
  for (const auto& value : list) field.push_back(scalar_text(value));
}

std::optional<Condition> read_condition(const Fields& fields) {
  Condition condition;
  condition.key = fields.required_string("key");
  condition.absent = fields.optional_bool("absent").value_or(false);
  if (fields.has("equals")) condition.equals = scalar_text(fields.raw("equals"));
  if (condition.absent && condition.equals) fields.fail("absent", "goes without `equals`");
  return condition;
}

Result<Profile> parse_profile(const std::string& file, std::string_view yaml) {
  return parse(file, yaml, 0);
}

}  // namespace touchstone::conformance
