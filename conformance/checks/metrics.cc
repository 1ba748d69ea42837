// The subject's metrics page against the profile's families.
#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"
#include "conformance/checks/check.h"

namespace touchstone::conformance {
namespace {

using telemetry::MetricFamily;
using telemetry::Sample;

bool is_suffix_of_histogram(const MetricFamily& family, const Sample& sample,
                            std::string_view suffix) {
  return sample.name == family.name + std::string(suffix);
}

/// Labels of one series without the bucket bound.
std::map<std::string, std::string> series_labels(const Sample& sample) {
  std::map<std::string, std::string> labels = sample.labels;
  labels.erase("le");
  labels.erase("quantile");
  return labels;
}

std::string names_of(const std::map<std::string, std::string>& labels) {
  std::vector<std::string> names;
  for (const auto& [name, value] : labels) names.push_back(name);
  return join(names, ", ");
}

Violation of_metric(const MetricRule& rule, const std::string& fold, const std::string& message,
                    const std::string& expected, const std::string& actual) {
  return {.level = rule.level,
          .fold = rule.name + " " + fold,
          .signal = "metric",
          .subject = "metric " + rule.name,
          .message = message,
          .expected = expected,
          .actual = actual,
          .context = {{"metric", rule.name}},
          .rule = rule.where};
}

/// Calls `visit(rule, family)` for each family the profile knows and the page has.
template <typename Visit>
void for_each_family(const CheckInput& input, Recorder& recorder, const Visit& visit) {
  recorder.not_applicable(input.evidence.metrics ? "no metric of the profile is on the page"
                                                 : "no metrics were collected");
  if (!input.evidence.metrics) return;
  for (const MetricRule& rule : input.profile().metrics) {
    const MetricFamily* family = input.evidence.metrics->family(rule.name);
    if (family != nullptr) visit(rule, *family);
  }
}

/// Buckets of each series, by its labels without `le`, in the page's order.
std::map<std::map<std::string, std::string>, std::vector<std::pair<double, double>>> buckets_of(
    const MetricFamily& family) {
  std::map<std::map<std::string, std::string>, std::vector<std::pair<double, double>>> buckets;
  for (const Sample& sample : family.samples) {
    if (!is_suffix_of_histogram(family, sample, "_bucket")) continue;
    const auto le = sample.labels.find("le");
    if (le == sample.labels.end()) continue;
    const double bound = le->second == "+Inf" ? INFINITY : parse_double(le->second).value_or(NAN);
    buckets[series_labels(sample)].emplace_back(bound, sample.value);
  }
  return buckets;
}

std::string shown(const std::vector<double>& bounds) {
  std::vector<std::string> texts;
  for (const double bound : bounds) texts.push_back(format_double(bound));
  return join(texts, ", ");
}

void present(const CheckInput& input, Recorder& recorder) {
  recorder.not_applicable(input.evidence.metrics ? "the profile has no metrics"
                                                 : "no metrics were collected");
  if (!input.evidence.metrics) return;
  for (const MetricRule& rule : input.profile().metrics) {
    if (rule.level == result::Level::kMay) continue;
    recorder.examined();
    const MetricFamily* family = input.evidence.metrics->family(rule.name);
    if (family == nullptr) {
      recorder.violation(of_metric(rule, "", "the metric " + rule.name + " is missing",
                                   rule.type + " " + rule.name, "missing"));
      continue;
    }
    for (const auto& [label, values] : rule.values) {
      for (const std::string& value : values) {
        const bool there =
            std::any_of(family->samples.begin(), family->samples.end(), [&](const Sample& sample) {
              const auto found = sample.labels.find(label);
              return found != sample.labels.end() && found->second == value;
            });
        if (there) continue;
        recorder.violation(of_metric(
            rule, label + value, rule.name + " has no series with " + label + "=" + quote(value),
            label + "=" + quote(value), "missing"));
      }
    }
  }
}

void type(const CheckInput& input, Recorder& recorder) {
  for_each_family(input, recorder, [&](const MetricRule& rule, const MetricFamily& family) {
    recorder.examined();
    if (family.type == rule.type) return;
    recorder.violation(of_metric(rule, family.type,
                                 rule.name + " has type " + family.type + ", expected " + rule.type,
                                 rule.type, family.type));
  });
}

void labels(const CheckInput& input, Recorder& recorder) {
  for_each_family(input, recorder, [&](const MetricRule& rule, const MetricFamily& family) {
    if (rule.labels.empty()) return;
    std::vector<std::string> expected = rule.labels;
    std::sort(expected.begin(), expected.end());
    const std::string wanted = join(expected, ", ");
    for (const Sample& sample : family.samples) {
      recorder.examined();
      std::map<std::string, std::string> labels = series_labels(sample);
      const std::string actual = names_of(labels);
      for (const std::string& label : rule.optional_labels) labels.erase(label);
      if (names_of(labels) == wanted) continue;
      recorder.violation(of_metric(
          rule, actual, sample.name + " has the labels " + actual + ", expected " + wanted, wanted,
          actual));
    }
  });
}

void buckets(const CheckInput& input, Recorder& recorder) {
  for_each_family(input, recorder, [&](const MetricRule& rule, const MetricFamily& family) {
    if (rule.buckets.empty()) return;
    for (const auto& [labels, buckets] : buckets_of(family)) {
      recorder.examined();
      std::vector<double> bounds;
      for (const auto& [bound, count] : buckets) bounds.push_back(bound);
      std::vector<double> expected = rule.buckets;
      expected.push_back(INFINITY);
      if (bounds == expected) continue;
      recorder.violation(of_metric(rule, "", rule.name + " has other bucket bounds than expected",
                                   shown(expected), shown(bounds)));
    }
  });
}

void values(const CheckInput& input, Recorder& recorder) {
  for_each_family(input, recorder, [&](const MetricRule& rule, const MetricFamily& family) {
    for (const Sample& sample : family.samples) {
      recorder.examined();
      const bool low = rule.min && sample.value < *rule.min;
      const bool high = rule.max && sample.value > *rule.max;
      if (std::isfinite(sample.value) && !low && !high) continue;
      const std::string expected = low    ? "at least " + format_double(*rule.min)
                                   : high ? "at most " + format_double(*rule.max)
                                          : "a finite number";
      recorder.violation(
          of_metric(rule, sample.name,
                    sample.name + " is " + format_double(sample.value) + ", expected " + expected,
                    expected, format_double(sample.value)));
    }
    for (const auto& [labels, buckets] : buckets_of(family)) {
      for (size_t i = 1; i < buckets.size(); ++i) {
        if (buckets[i].second >= buckets[i - 1].second) continue;
        recorder.violation(of_metric(rule, "cumulative",
                                     rule.name + " counts fewer up to " +
                                         format_double(buckets[i].first) + " than up to " +
                                         format_double(buckets[i - 1].first),
                                     "cumulative buckets", format_double(buckets[i].second)));
      }
      const auto count = input.evidence.metrics->value(rule.name + "_count", labels);
      if (count && !buckets.empty() && *count != buckets.back().second) {
        recorder.violation(of_metric(rule, "count",
                                     rule.name + "_count is " + format_double(*count) +
                                         ", but its last bucket holds " +
                                         format_double(buckets.back().second),
                                     format_double(buckets.back().second), format_double(*count)));
      }
    }
  });
}

constexpr char kNoMetrics[] = "no metrics were collected";
using enum CheckRow::Source;
constexpr CheckRow kRows[] = {
    {.id = "metric.present",
     .title = "Metrics are there",
     .group = "metrics",
     .demanded_by = kTheProfile,
     .source = "the profile's metrics at its pinned version.",
     .nothing = kNoMetrics,
     .at_end = present},
    {.id = "metric.type",
     .title = "Metric types",
     .group = "metrics",
     .source = "Prometheus text exposition format 0.0.4: TYPE says counter, gauge, histogram or "
               "summary.",
     .nothing = kNoMetrics,
     .at_end = type},
    {.id = "metric.labels",
     .title = "Metric labels",
     .group = "metrics",
     .demanded_by = kTheProfile,
     .source = "the profile's metrics (labels) at its pinned version.",
     .nothing = kNoMetrics,
     .at_end = labels},
    {.id = "metric.buckets",
     .title = "Histogram bounds",
     .group = "metrics",
     .demanded_by = kTheProfile,
     .source = "the profile's metrics (buckets) at its pinned version.",
     .nothing = kNoMetrics,
     .at_end = buckets},
    {.id = "metric.value",
     .title = "Metric values are finite, in range and cumulative",
     .group = "metrics",
     .source = "Prometheus text exposition format 0.0.4, Histograms: buckets are cumulative, the "
               "last equals the count.",
     .nothing = kNoMetrics,
     .at_end = values}};

}  // namespace

CheckTable metric_checks() { return kRows; }

}  // namespace touchstone::conformance
