// The metrics page against the profile's families: present, typed, labelled, in range, cumulative.
#include <algorithm>
#include <cmath>

#include "conformance/mutate/operator.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::MetricFamily;
using telemetry::Sample;

MetricFamily& family_of(Evidence& evidence, const std::string& name) {
  return *std::find_if(evidence.metrics->families.begin(), evidence.metrics->families.end(),
                       [&](const MetricFamily& family) { return family.name == name; });
}

/// A mutant of each family that the page has and whose rule fits.
template <typename Fits, typename Damage>
std::vector<Mutant> on_families(const Good& good, const Fits& fits, const Damage& damage) {
  std::vector<Mutant> mutants;
  if (!good.evidence().metrics) return mutants;
  for (const Profile& profile : good.profiles()) {
    for (const MetricRule& rule : profile.metrics) {
      const MetricFamily* family = good.evidence().metrics->family(rule.name);
      if (family == nullptr || family->samples.empty() || !fits(rule)) continue;
      mutants.push_back(
          {rule.name,
           [&rule, damage](Evidence& evidence) { damage(family_of(evidence, rule.name), rule); },
           rule.level});
    }
  }
  return mutants;
}

bool any(const MetricRule&) { return true; }
bool is_required(const MetricRule& rule) { return rule.level != result::Level::kMay; }
bool has_values(const MetricRule& rule) { return is_required(rule) && !rule.values.empty(); }
bool has_labels(const MetricRule& rule) { return !rule.labels.empty(); }
bool has_buckets(const MetricRule& rule) { return rule.buckets.size() > 2; }
bool is_histogram(const MetricRule& rule) { return rule.type == "histogram"; }

/// The samples of the first series' buckets, in the page's order.
std::vector<Sample*> buckets_of(MetricFamily& family) {
  std::vector<Sample*> buckets;
  telemetry::Labels first;
  for (Sample& sample : family.samples) {
    if (sample.name != family.name + "_bucket") continue;
    telemetry::Labels labels = sample.labels;
    labels.erase("le");
    if (buckets.empty()) first = labels;
    if (labels == first) buckets.push_back(&sample);
  }
  return buckets;
}

std::vector<Mutant> gone(const Good& good) {
  return on_families(good, is_required,
                     [](MetricFamily& family, const MetricRule&) { family.name = "app:gone"; });
}

std::vector<Mutant> underscored(const Good& good) {
  const auto fits = [](const MetricRule& rule) {
    return is_required(rule) && rule.name.find(':') != std::string::npos;
  };
  return on_families(good, fits, [](MetricFamily& family, const MetricRule&) {
    std::replace(family.name.begin(), family.name.end(), ':', '_');
  });
}

std::vector<Mutant> no_page(const Good& good) {
  const auto wants_metrics = [](const Profile& profile) {
    return std::any_of(profile.metrics.begin(), profile.metrics.end(), is_required);
  };
  if (!good.evidence().metrics ||
      std::none_of(good.profiles().begin(), good.profiles().end(), wants_metrics))
    return {};
  return {{"the page", [](Evidence& evidence) { evidence.metrics->families.clear(); }}};
}

std::vector<Mutant> series_gone(const Good& good) {
  std::vector<Mutant> mutants;
  if (!good.evidence().metrics) return mutants;
  for (const Profile& profile : good.profiles()) {
    for (const MetricRule& rule : profile.metrics) {
      if (!has_values(rule) || good.evidence().metrics->family(rule.name) == nullptr) continue;
      for (const auto& [label, values] : rule.values) {
        for (const std::string& value : values) {
          mutants.push_back({rule.name + "{" + label + "=" + value + "}",
                             [name = rule.name, label = label, value](Evidence& evidence) {
                               std::erase_if(
                                   family_of(evidence, name).samples, [&](const Sample& sample) {
                                     const auto found = sample.labels.find(label);
                                     return found != sample.labels.end() && found->second == value;
                                   });
                             },
                             rule.level});
        }
      }
    }
  }
  return mutants;
}

std::vector<Mutant> other_type(const Good& good) {
  return on_families(good, any, [](MetricFamily& family, const MetricRule& rule) {
    family.type = rule.type == "gauge" ? "counter" : "gauge";
  });
}

std::vector<Mutant> label_added(const Good& good) {
  return on_families(good, has_labels, [](MetricFamily& family, const MetricRule&) {
    family.samples.front().labels["tenant"] = "x";
  });
}

std::vector<Mutant> label_renamed(const Good& good) {
  return on_families(good, has_labels, [](MetricFamily& family, const MetricRule& rule) {
    auto node = family.samples.front().labels.extract(rule.labels.front());
    node.key() += "_name";
    family.samples.front().labels.insert(std::move(node));
  });
}

std::vector<Mutant> label_lost(const Good& good) {
  return on_families(good, has_labels, [](MetricFamily& family, const MetricRule& rule) {
    family.samples.front().labels.erase(rule.labels.front());
  });
}

std::vector<Mutant> not_a_number(const Good& good) {
  return on_families(good, any, [](MetricFamily& family, const MetricRule&) {
    family.samples.front().value = std::nan("");
  });
}

std::vector<Mutant> below(const Good& good) {
  return on_families(
      good, [](const MetricRule& rule) { return rule.min.has_value(); },
      [](MetricFamily& family, const MetricRule& rule) {
        family.samples.front().value = *rule.min - 1;
      });
}

std::vector<Mutant> above(const Good& good) {
  return on_families(
      good, [](const MetricRule& rule) { return rule.max.has_value(); },
      [](MetricFamily& family, const MetricRule& rule) {
        family.samples.front().value = *rule.max * 100;
      });
}

std::vector<Mutant> bound_gone(const Good& good) {
  return on_families(good, has_buckets, [](MetricFamily& family, const MetricRule&) {
    const std::string name = family.name + "_bucket";
    family.samples.erase(std::find_if(family.samples.begin(), family.samples.end(),
                                      [&](const Sample& sample) { return sample.name == name; }));
  });
}

std::vector<Mutant> bound_moved(const Good& good) {
  return on_families(good, has_buckets, [](MetricFamily& family, const MetricRule& rule) {
    buckets_of(family)[1]->labels["le"] = std::to_string((rule.buckets[0] + rule.buckets[1]) / 2);
  });
}

std::vector<Mutant> not_cumulative(const Good& good) {
  return on_families(good, is_histogram, [](MetricFamily& family, const MetricRule&) {
    const std::vector<Sample*> buckets = buckets_of(family);
    buckets[buckets.size() - 2]->value = buckets.back()->value + 5;
  });
}

std::vector<Mutant> other_count(const Good& good) {
  return on_families(good, is_histogram, [](MetricFamily& family, const MetricRule&) {
    for (Sample& sample : family.samples) {
      if (sample.name == family.name + "_count") ++sample.value;
    }
  });
}

constexpr OperatorRow kRows[] = {
    {"metric.no_page", "the page is empty", kWithMetrics, no_page, kWithMetrics},
    {"metric.gone", "a family is missing", kWithMetrics, gone, kWithMetrics},
    {"metric.underscore", "a family has underscores for colons", kWithMetrics, underscored,
     kWithMetrics},
    {"metric.series_gone", "a series that must be there is missing", kWithMetrics, series_gone,
     kWithMetrics},
    {"metric.type", "a family has another type", kWithMetrics, other_type, kWithMetrics},
    {"metric.label_add", "a label too many", kWithMetrics, label_added, kWithMetrics},
    {"metric.label_rename", "a label has another name", kWithMetrics, label_renamed, kWithMetrics},
    {"metric.label_lose", "a label is missing", kWithMetrics, label_lost, kWithMetrics},
    {"metric.nan", "a sample is no number", kWithMetrics, not_a_number, kWithMetrics},
    {"metric.below", "a sample below its least", kWithMetrics, below, kWithMetrics},
    {"metric.above", "a sample above its most", kWithMetrics, above, kWithMetrics},
    {"metric.bound_gone", "a bucket is missing", kWithMetrics, bound_gone, kWithMetrics},
    {"metric.bound_moved", "a bucket has another bound", kWithMetrics, bound_moved, kWithMetrics},
    {"metric.cumulative", "buckets that are not cumulative", kWithMetrics, not_cumulative,
     kWithMetrics},
    {"metric.count", "a count that its buckets contradict", kWithMetrics, other_count,
     kWithMetrics}};

}  // namespace

OperatorTable metric_operators() { return kRows; }

}  // namespace touchstone::conformance::mutate
