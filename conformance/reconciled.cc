#include "conformance/reconciled.h"

#include <set>

#include "base/text.h"

namespace touchstone::conformance {

Reconciled::Reconciled(const CompiledProfile& profile, const Evidence& evidence)
    : profile_(profile.profile()),
      wanted_(evidence.metrics.has_value()),
      sums_(profile_.reconciliations.size()) {
  for (const CompiledType& type : profile.types()) {
    std::vector<NumberPlace>& places = places_.emplace_back();
    for (const Reconciliation& rule : profile_.reconciliations) {
      places.push_back(type.number_of(rule.name));
    }
  }
  if (!wanted_) return;
  for (size_t i = 0; i < sums_.size(); ++i) {
    const Reconciliation& rule = profile_.reconciliations[i];
    const telemetry::MetricFamily* family = evidence.metrics->family(rule.metric);
    if (rule.kind != Reconciliation::Kind::kHistogram || family == nullptr) continue;
    std::set<std::string> bounds;
    for (const telemetry::Sample& sample : family->samples) {
      const auto le = sample.labels.find("le");
      if (sample.name == rule.metric + "_bucket" && le != sample.labels.end()) {
        bounds.insert(le->second);
      }
    }
    for (const std::string& bound : bounds) {
      const auto number = parse_double(bound);
      if (number) sums_[i].bounds.emplace_back(bound, *number);  // +Inf is the count
    }
    sums_[i].within.resize(sums_[i].bounds.size());
  }
}

void Reconciled::add(const SpanView& view) {
  if (!wanted_) return;
  // Whether the server counts a request that ended in an error, nobody says, unless its series have
  // a label; nor how often one whose single span stands for several completions, but that it has
  // one duration.
  const bool failed = view.span->status == telemetry::StatusCode::kError;
  const bool single = view.request == nullptr || view.request->all == view.request->entry->choices;
  for (size_t i = 0; i < sums_.size(); ++i) {
    const Reconciliation& rule = profile_.reconciliations[i];
    if (rule.kind == Reconciliation::Kind::kRequests) continue;
    if (failed && !rule.failed_label.empty()) continue;
    const bool exact = !failed && (single || is_of_duration(rule));
    const auto value = view.number(places_[view.type->index()][i]);
    ReconciledSum& sum = sums_[i];
    if (!value) continue;
    const auto add_to = [&](SumRange& range) {
      range.least += exact ? *value : 0;
      range.most += *value;
      ++range.values;
    };
    add_to(sum.all);
    add_to(view.request == nullptr ? sum.unexplained : view.request->sums[i]);
    if (!exact) {
      sum.maybe += view.request == nullptr ? 1 : view.request->entry->choices;
      continue;
    }
    ++sum.count;
    for (size_t bound = 0; bound < sum.bounds.size(); ++bound) {
      sum.within[bound] += *value <= sum.bounds[bound].second;
    }
  }
}

}  // namespace touchstone::conformance
