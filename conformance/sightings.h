// When each required attribute was seen, first and last, which services lack it, and how it is with
// each tenant, model and operation: what a gate over a window of time, or an auditor, asks.
// Bounded. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "conformance/span_view.h"
#include "result/result_model.h"

namespace touchstone::conformance {

class Sightings final {
 public:
  explicit Sightings(const CompiledProfile& profile);

  /// REQUIRES: the view has a type.
  void add(const SpanView& view);

  /// Of attributes that must or should be there: first those of all spans, also where no span of a
  /// type that stands for requests came, then of each group.
  std::vector<result::Sighting> rows() const;

  /// Values told apart of tenant, model and operation each, and services named.
  static constexpr size_t kGroupsMax = 50;
  static constexpr size_t kServicesMax = 20;

 private:
  struct Sight {
    int64_t due = 0;
    int64_t present = 0;
    int64_t first_unix_ns = 0;  // while present
    int64_t last_unix_ns = 0;
    std::set<std::string> missing_in;
    void add(bool is_present, const telemetry::Span& span, const telemetry::Resource& resource);
  };
  using Sights = std::vector<std::vector<Sight>>;  // by type, by rule; the resource's last
  Sights empty() const;
  void add_to(Sights& sights, const SpanView& view);
  void append(const Sights& sights, const std::string& group,
              std::vector<result::Sighting>& rows) const;

  const CompiledProfile& profile_;
  Sights all_;
  std::map<std::string, std::map<std::string, Sights>> groups_;  // by dimension, by value
};

/// The check `coverage.window`: a finding for each attribute of `sightings` that must be there and
/// was seen on no span.
result::CheckOutcome judge_sightings(const std::string& profile,
                                     const std::vector<result::Sighting>& sightings);

}  // namespace touchstone::conformance
