// Questions about spans as ClickHouse SQL. Source: the Collector's ClickHouse exporter v0.155.0,
// traces_table.sql: one row a span, attributes in Map(LowCardinality(String), String), arrays as
// JSON text. Pure.
#pragma once

#include <string>
#include <vector>

#include "conformance/dimensions.h"
#include "conformance/profile/profile.h"
#include "harness/backends/backend.h"

namespace touchstone::harness {

/// 'text', quoted.
std::string sql_text(std::string_view text);

/// Counts on the spans of one type, one row. Column names: "spans"; of rule i of `rules`: "due_i",
/// "present_i", "first_i", "last_i" (ns), "services_i" (array, without it), "trace_i", "span_i" (of
/// one without it), "wrong_i" (value is none of those allowed), "wrong_value_i".
struct CountedRule {
  const conformance::AttributeRule* rule;
  bool of_resource;
};
std::string count_query(const std::string& table, const std::string& where,
                        const std::vector<CountedRule>& rules);
/// The same by group, a row each with its name as "group_name"; the 50 largest.
std::string grouped_count_query(const std::string& table, const std::string& where,
                                const std::vector<CountedRule>& rules,
                                const conformance::Dimension& dimension);

/// Spans that start in the window.
std::string window_condition(const TimeWindow& window);
/// Those of each type of each profile, by profile and position: as Judge classifies them, the first
/// type of a profile whose match holds, and those that name a scope before those that do not.
std::vector<std::vector<std::string>> type_conditions(
    const std::vector<conformance::Profile>& profiles);

}  // namespace touchstone::harness
