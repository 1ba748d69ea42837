#include "harness/backends/clickhouse_counts.h"

#include "base/text.h"

namespace touchstone::harness {

using nlohmann::json;

int64_t count_of(const json& row, const std::string& column) {
  const json value = row.value(column, json());
  if (value.is_number_integer()) return value.get<int64_t>();
  return value.is_string() ? parse_int(value.get<std::string>()).value_or(0) : 0;
}

std::string text_of(const json& row, const std::string& column) {
  const json value = row.value(column, json());
  return value.is_string() ? value.get<std::string>() : "";
}

void RuleCounts::judge_presence(conformance::Recorder& recorder) const {
  const conformance::AttributeRule& rule = *counted_.rule;
  if (rule.presence == conformance::Presence::kSometimes || rule.level == result::Level::kMay) {
    return;
  }
  recorder.examined(due());
  const int64_t lost = due() - present();
  if (lost == 0) return;
  const std::string where = counted_.of_resource ? "resource" : type_.type;
  recorder.violation(
      {.level = rule.level,
       .fold = where + " " + rule.key,
       .signal = counted_.of_resource ? "resource" : "span",
       .subject = where + " " + rule.key,
       .message = "each " + type_.type + " span " + result::to_string(rule.level) + " carry " +
                  rule.key + (counted_.of_resource ? " on its resource" : "") +
                  ", which is missing on " + format_count(lost) + " of " + format_count(due()),
       .expected = rule.key,
       .actual = "missing",
       .context = {{"attribute", rule.key}},
       .place = {.trace_id = text_of(row_, "trace_" + number_),
                 .span_id = text_of(row_, "span_" + number_),
                 .request = {},
                 .input = {}},
       .rule = rule.where});
}

void RuleCounts::judge_value(conformance::Recorder& recorder) const {
  if (!row_.contains("wrong_" + number_)) return;
  const conformance::AttributeRule& rule = *counted_.rule;
  recorder.examined(present());
  const int64_t wrong = count("wrong_");
  if (wrong == 0) return;
  recorder.violation({.level = rule.level,
                      .fold = type_.type + " " + rule.key,
                      .subject = type_.type + " " + rule.key,
                      .message = rule.key + " is none of " + join(rule.one_of, ", ") + " on " +
                                 format_count(wrong) + " spans, as " +
                                 quote(text_of(row_, "wrong_value_" + number_)),
                      .expected = "one of: " + join(rule.one_of, ", "),
                      .actual = text_of(row_, "wrong_value_" + number_),
                      .context = {{"attribute", rule.key}},
                      .rule = rule.where});
}

result::Sighting RuleCounts::sighting(const std::string& group) const {
  result::Sighting seen{.attribute = counted_.rule->key,
                        .span_type = counted_.of_resource ? "resource" : type_.type,
                        .group = group,
                        .level = counted_.rule->level,
                        .present = present(),
                        .total = due()};
  if (present() > 0) {
    seen.first_seen_unix_ns = count("first_");
    seen.last_seen_unix_ns = count("last_");
  }
  for (const json& service : row_.value("services_" + number_, json::array())) {
    if (service.is_string()) seen.missing_in.push_back(service.get<std::string>());
  }
  return seen;
}

}  // namespace touchstone::harness
