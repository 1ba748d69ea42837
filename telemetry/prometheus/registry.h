// Counters, gauges, histograms and summaries, rendered as prometheus_client for Python renders
// them (`generate_latest`, text format 0.0.4): labels sorted by name, floats as Python's repr with
// Go's exponents, and a `_created` gauge after each counter, histogram and summary. vLLM's page is
// made by that library, so dashboards and scrapers see the same bytes.
//
// Thread-compatible. The page's owner locks; values are one flat vector, so that an owner can copy
// them in a short lock and render outside of it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/prometheus/text.h"

namespace touchstone::telemetry {

/// Python's repr with prometheus_client's exponents: 1.0, 0.001, 1e+06, 1.5e+09, +Inf, NaN.
std::string format_prometheus_number(double value);

class PrometheusRegistry final {
 public:
  enum class Type { kCounter, kGauge, kHistogram, kSummary };
  struct FamilySpec {
    Type type = Type::kGauge;
    std::string name;  ///< a counter's without "_total"
    std::string help;
    std::vector<double> bounds = {};  ///< of a histogram, ascending, without +Inf
    bool created = true;              ///< whether to show when each series began; no gauge does
  };
  /// Of one registry; stay valid as others are added.
  struct FamilyId {
    size_t index = 0;
  };
  struct SeriesId {
    size_t index = 0;
  };

  /// Families are rendered in the order they were added, and so are a family's series.
  FamilyId add_family(FamilySpec spec);
  /// A new series at zero. REQUIRES: no series with these labels in the family.
  SeriesId add_series(FamilyId family, const Labels& labels, double created_unix_s);

  /// REQUIRES: a counter; amount >= 0.
  void add(SeriesId series, double amount) { values_[series_[series.index].first] += amount; }
  /// REQUIRES: a gauge, or a counter that mirrors one kept elsewhere.
  void set(SeriesId series, double value) { values_[series_[series.index].first] = value; }
  /// REQUIRES: a histogram or summary.
  void observe(SeriesId series, double value);

  /// Name and labels of the bucket that holds `value`, as the page shows them.
  /// REQUIRES: a histogram.
  std::string_view bucket_name(SeriesId series, double value) const;

  const std::vector<double>& values() const { return values_; }
  /// Appends the page with `values`, a copy of values() since which no series was added.
  void render(const std::vector<double>& values, std::string& out) const;

 private:
  struct Series {
    size_t family;
    size_t first;  // index of its first value
    std::string created_line;
    std::vector<std::string> names;  // "name{labels} ", one for each sample it shows
  };
  struct Family {
    FamilySpec spec;
    std::vector<size_t> series;
  };
  void render_values(const Family& family, const Series& series, const std::vector<double>& values,
                     std::string& out) const;

  std::vector<Family> families_;
  std::vector<Series> series_;
  // A counter or gauge: [value]. A histogram: [one count per bucket and +Inf, not cumulated; sum].
  // A summary: [count, sum].
  std::vector<double> values_;
};

}  // namespace touchstone::telemetry
