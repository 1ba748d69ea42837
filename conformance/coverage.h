// How often each attribute of a profile is there. Pure; one thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "conformance/span_view.h"
#include "result/result_model.h"

namespace touchstone::conformance {

class Coverage final {
 public:
  explicit Coverage(const CompiledProfile& profile);

  /// REQUIRES: the view has a type.
  void add(const SpanView& view);
  void add_resource(const telemetry::Resource& resource);

  /// One row for each attribute rule of each span type that occurs and of the resources; then one
  /// for each key that no rule names, with level MAY. Attributes that may be absent have level MAY.
  std::vector<result::CoverageRow> rows() const;

  /// Keys without a rule that are told apart, of each span type: hostile input invents them.
  static constexpr size_t kOthersMax = 200;

 private:
  struct Counts {
    std::vector<int64_t> present;           // by rule
    std::vector<int64_t> due;               // spans on which the rule counts, by rule
    std::map<std::string, int64_t> others;  // by key without a rule
    int64_t total = 0;
    void add_other(const std::string& key);
  };
  static void append(const std::string& span_type, const std::vector<AttributeRule>& rules,
                     const Counts& counts, std::vector<result::CoverageRow>& rows);

  const CompiledProfile& profile_;
  std::vector<Counts> types_;
  Counts resource_;
};

}  // namespace touchstone::conformance
