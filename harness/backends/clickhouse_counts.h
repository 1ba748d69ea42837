// What a row of counts says of one rule of a profile. See clickhouse_sql.h for its columns. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "conformance/checks/check.h"
#include "conformance/profile/profile.h"
#include "harness/backends/clickhouse_sql.h"
#include "result/result_model.h"

namespace touchstone::harness {

/// Whole numbers come as numbers or, by a setting of the server, as text.
int64_t count_of(const nlohmann::json& row, const std::string& column);
std::string text_of(const nlohmann::json& row, const std::string& column);

/// Borrows all it is given.
class RuleCounts final {
 public:
  RuleCounts(const nlohmann::json& row, const conformance::SpanType& type,
             const CountedRule& counted, size_t index)
      : row_(row), type_(type), counted_(counted), number_(std::to_string(index)) {}

  /// A window without it is a finding, even one without spans.
  bool is_owed() const {
    return type_.is_request && counted_.rule->presence == conformance::Presence::kAlways;
  }
  int64_t due() const { return count("due_"); }
  int64_t present() const { return count("present_"); }

  void judge_presence(conformance::Recorder& recorder) const;
  void judge_value(conformance::Recorder& recorder) const;
  /// `group`: of which the row is; empty: of all spans.
  result::Sighting sighting(const std::string& group) const;

 private:
  int64_t count(const char* column) const { return count_of(row_, column + number_); }

  const nlohmann::json& row_;
  const conformance::SpanType& type_;
  const CountedRule& counted_;
  const std::string number_;
};

}  // namespace touchstone::harness
