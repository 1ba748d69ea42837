#include "telemetry/prometheus/registry.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/python_repr.h"

namespace touchstone::telemetry {
namespace {

using Type = PrometheusRegistry::Type;

const char* type_name(Type type) {
  switch (type) {
    case Type::kCounter:
      return "counter";
    case Type::kGauge:
      return "gauge";
    case Type::kHistogram:
      return "histogram";
    case Type::kSummary:
      return "summary";
  }
  BASE_CHECK(false, static_cast<int>(type));
}

std::string escape(std::string_view text, bool quotes) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\\\";
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '"' && quotes) {
      result += "\\\"";
    } else {
      result += c;
    }
  }
  return result;
}

std::string sample_name(const std::string& name, const Labels& labels) {
  std::string text = name;
  if (!labels.empty()) {
    char separator = '{';
    for (const auto& [label, value] : labels) {
      text += separator + label + "=\"" + escape(value, true) + "\"";
      separator = ',';
    }
    text += '}';
  }
  return text + ' ';
}

void append_head(std::string& out, const std::string& name, const std::string& help,
                 const char* type) {
  out += "# HELP " + name + " " + escape(help, false) + "\n# TYPE " + name + " " + type + "\n";
}

}  // namespace

std::string format_prometheus_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  if (std::signbit(value)) return "-" + python_repr(-value);
  const std::string text = python_repr(value);
  const size_t point = text.find('.');
  if (point == std::string::npos || point <= 6) return text;
  std::string mantissa =
      text.substr(0, 1) + "." + text.substr(1, point - 1) + text.substr(point + 1);
  mantissa.erase(mantissa.find_last_not_of("0.") + 1);
  return mantissa + "e+0" + std::to_string(point - 1);
}

PrometheusRegistry::FamilyId PrometheusRegistry::add_family(FamilySpec spec) {
  BASE_CHECK(std::is_sorted(spec.bounds.begin(), spec.bounds.end()), spec.name);
  if (spec.type == Type::kGauge) spec.created = false;
  families_.push_back({std::move(spec), {}});
  return {families_.size() - 1};
}

PrometheusRegistry::SeriesId PrometheusRegistry::add_series(FamilyId id, const Labels& labels,
                                                            double created_unix_s) {
  Family& family = families_[id.index];
  const FamilySpec& spec = family.spec;
  Series series{id.index, values_.size(), "", {}};
  size_t value_count = 1;
  switch (spec.type) {
    case Type::kCounter:
      series.names.push_back(sample_name(spec.name + "_total", labels));
      break;
    case Type::kGauge:
      series.names.push_back(sample_name(spec.name, labels));
      break;
    case Type::kHistogram: {
      Labels with_bound = labels;
      for (const double bound : spec.bounds) {
        with_bound["le"] = format_prometheus_number(bound);
        series.names.push_back(sample_name(spec.name + "_bucket", with_bound));
      }
      with_bound["le"] = "+Inf";
      series.names.push_back(sample_name(spec.name + "_bucket", with_bound));
      value_count = spec.bounds.size() + 2;
      [[fallthrough]];
    }
    case Type::kSummary:
      series.names.push_back(sample_name(spec.name + "_count", labels));
      series.names.push_back(sample_name(spec.name + "_sum", labels));
      if (spec.type == Type::kSummary) value_count = 2;
      break;
  }
  if (spec.created) {
    series.created_line = sample_name(spec.name + "_created", labels) +
                          format_prometheus_number(created_unix_s) + "\n";
  }
  values_.resize(values_.size() + value_count, 0.0);
  family.series.push_back(series_.size());
  series_.push_back(std::move(series));
  return {series_.size() - 1};
}

void PrometheusRegistry::observe(SeriesId id, double value) {
  const Series& series = series_[id.index];
  const FamilySpec& spec = families_[series.family].spec;
  if (spec.type == Type::kSummary) {
    values_[series.first] += 1;
    values_[series.first + 1] += value;
    return;
  }
  // A bucket holds values <= its bound; beyond the last bound is +Inf.
  const auto bound = std::lower_bound(spec.bounds.begin(), spec.bounds.end(), value);
  values_[series.first + static_cast<size_t>(bound - spec.bounds.begin())] += 1;
  values_[series.first + spec.bounds.size() + 1] += value;
}

std::string_view PrometheusRegistry::bucket_name(SeriesId id, double value) const {
  const Series& series = series_[id.index];
  const FamilySpec& spec = families_[series.family].spec;
  BASE_CHECK(spec.type == Type::kHistogram, spec.name);
  const auto bound = std::lower_bound(spec.bounds.begin(), spec.bounds.end(), value);
  std::string_view name = series.names[static_cast<size_t>(bound - spec.bounds.begin())];
  name.remove_suffix(1);  // the blank before the value
  return name;
}

void PrometheusRegistry::render_values(const Family& family, const Series& series,
                                       const std::vector<double>& values, std::string& out) const {
  const auto line = [&](size_t name, double value) {
    out += series.names[name];
    out += format_prometheus_number(value);
    out += '\n';
  };
  const double* first = &values[series.first];
  if (family.spec.type == Type::kHistogram) {
    const size_t buckets = family.spec.bounds.size() + 1;
    double cumulated = 0;
    for (size_t i = 0; i < buckets; ++i) {
      cumulated += first[i];
      line(i, cumulated);
    }
    line(buckets, cumulated);
    line(buckets + 1, first[buckets]);
    return;
  }
  for (size_t i = 0; i < series.names.size(); ++i) line(i, first[i]);
}

void PrometheusRegistry::render(const std::vector<double>& values, std::string& out) const {
  BASE_CHECK(values.size() == values_.size(), values.size(), " of ", values_.size());
  for (const Family& family : families_) {
    const FamilySpec& spec = family.spec;
    const std::string shown = spec.type == Type::kCounter ? spec.name + "_total" : spec.name;
    append_head(out, shown, spec.help, type_name(spec.type));
    for (const size_t series : family.series) render_values(family, series_[series], values, out);
    if (!spec.created || family.series.empty()) continue;
    append_head(out, spec.name + "_created", spec.help, "gauge");
    for (const size_t series : family.series) out += series_[series].created_line;
  }
}

}  // namespace touchstone::telemetry
