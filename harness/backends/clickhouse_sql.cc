#include "harness/backends/clickhouse_sql.h"

#include "base/text.h"

namespace touchstone::harness {
namespace {

using conformance::AttributeRule;
using conformance::Condition;
using conformance::SpanMatch;

/// As the exporter writes them.
const char* kind_word(telemetry::SpanKind kind) {
  static constexpr const char* kWords[] = {"Unspecified", "Internal", "Server",
                                           "Client",      "Producer", "Consumer"};
  return kWords[static_cast<int>(kind)];
}

std::string has_key(const std::string& map, const std::string& key) {
  return "mapContains(" + map + ", " + sql_text(key) + ")";
}

std::string holds(const Condition& condition, const std::string& map) {
  if (condition.absent) return "NOT " + has_key(map, condition.key);
  if (condition.equals) {
    return map + "[" + sql_text(condition.key) + "] = " + sql_text(*condition.equals);
  }
  return has_key(map, condition.key);
}

/// The whole of a text; RE2 where profiles have PCRE.
std::string matches(const std::string& column, const std::string& pattern) {
  return "match(" + column + ", " + sql_text("^(?:" + pattern + ")$") + ")";
}

std::string condition_of(const SpanMatch& match) {
  std::vector<std::string> all;
  if (match.name) all.push_back("SpanName = " + sql_text(*match.name));
  if (match.name_pattern) all.push_back(matches("SpanName", *match.name_pattern));
  if (match.kind) all.push_back("SpanKind = " + sql_text(kind_word(*match.kind)));
  if (match.scope) all.push_back("ScopeName = " + sql_text(*match.scope));
  for (const auto& [key, text] : match.resource) {
    all.push_back("ResourceAttributes[" + sql_text(key) + "] = " + sql_text(text));
  }
  return all.empty() ? "0" : "(" + join(all, " AND ") + ")";
}

bool is_text_list(const AttributeRule& rule) {
  const bool is_array = rule.type == conformance::ValueType::kStringArray ||
                        rule.type == conformance::ValueType::kArray;
  return !rule.one_of.empty() && !is_array;
}

std::string columns_of(const CountedRule& counted, size_t index) {
  const AttributeRule& rule = *counted.rule;
  const std::string map = counted.of_resource ? "ResourceAttributes" : "SpanAttributes";
  const std::string number = std::to_string(index);
  const std::string present = has_key(map, rule.key);
  const bool is_when = rule.presence == conformance::Presence::kWhen && rule.when;
  const std::string due = is_when ? "(" + holds(*rule.when, map) + ")" : "1";
  const std::string found = due + " AND " + present;
  const std::string lost = due + " AND NOT " + present;
  const std::string nanoseconds = "toUnixTimestamp64Nano(Timestamp)";
  std::string text = ",\n  countIf(" + due + ") AS due_" + number + ", countIf(" + found +
                     ") AS present_" + number + ", minIf(" + nanoseconds + ", " + found +
                     ") AS first_" + number + ", maxIf(" + nanoseconds + ", " + found +
                     ") AS last_" + number + ", groupUniqArrayIf(20)(ServiceName, " + lost +
                     ") AS services_" + number + ", anyIf(TraceId, " + lost + ") AS trace_" +
                     number + ", anyIf(SpanId, " + lost + ") AS span_" + number;
  if (!is_text_list(rule)) return text;
  std::vector<std::string> allowed;
  for (const std::string& one : rule.one_of) allowed.push_back(sql_text(one));
  const std::string value = map + "[" + sql_text(rule.key) + "]";
  const std::string wrong = found + " AND " + value + " NOT IN (" + join(allowed, ", ") + ")";
  return text + ", countIf(" + wrong + ") AS wrong_" + number + ", anyIf(" + value + ", " + wrong +
         ") AS wrong_value_" + number;
}

}  // namespace

std::string sql_text(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

std::string count_query(const std::string& table, const std::string& where,
                        const std::vector<CountedRule>& rules) {
  std::string text = "SELECT count() AS spans";
  for (size_t i = 0; i < rules.size(); ++i) text += columns_of(rules[i], i);
  return text + "\nFROM " + table + "\nWHERE " + where;
}

std::string grouped_count_query(const std::string& table, const std::string& where,
                                const std::vector<CountedRule>& rules,
                                const conformance::Dimension& dimension) {
  std::string name = "multiIf(";
  for (const std::string& key : dimension.keys) {
    for (const char* map : {"SpanAttributes", "ResourceAttributes"}) {
      name += has_key(map, key) + ", " + map + "[" + sql_text(key) + "], ";
    }
  }
  std::string text = "SELECT " + name + "'') AS group_name, count() AS spans";
  for (size_t i = 0; i < rules.size(); ++i) text += columns_of(rules[i], i);
  return text + "\nFROM " + table + "\nWHERE " + where +
         "\nGROUP BY group_name HAVING group_name != '' ORDER BY spans DESC, group_name LIMIT 50";
}

std::string window_condition(const TimeWindow& window) {
  const auto at = [](int64_t ns) { return "fromUnixTimestamp64Nano(" + std::to_string(ns) + ")"; };
  return "Timestamp >= " + at(window.start_unix_ns) + " AND Timestamp < " + at(window.end_unix_ns);
}

std::vector<std::vector<std::string>> type_conditions(
    const std::vector<conformance::Profile>& profiles) {
  std::vector<std::string> with_scope;
  for (const conformance::Profile& profile : profiles) {
    for (const conformance::SpanType& type : profile.spans) {
      if (type.match.scope) with_scope.push_back(condition_of(type.match));
    }
  }
  std::vector<std::vector<std::string>> conditions;
  for (const conformance::Profile& profile : profiles) {
    conditions.emplace_back();
    std::string earlier;
    for (const conformance::SpanType& type : profile.spans) {
      const std::string own = condition_of(type.match);
      std::string text = own + earlier;
      if (!type.match.scope && !with_scope.empty()) {
        text += " AND NOT (" + join(with_scope, " OR ") + ")";
      }
      if (!profile.service.empty()) text += " AND " + matches("ServiceName", profile.service);
      conditions.back().push_back(text);
      earlier += " AND NOT " + own;
    }
  }
  return conditions;
}

}  // namespace touchstone::harness
