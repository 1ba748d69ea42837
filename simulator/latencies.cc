#include "simulator/latencies.h"

#include <algorithm>

#include "base/statistics.h"

namespace touchstone::simulator {

void Latencies::add(double value) {
  if (!sketch_ && values_.size() < kMostExact) {
    values_.push_back(value);
    return;
  }
  if (!sketch_) {
    sketch_.emplace();
    for (const double one : values_) sketch_->add(one);
    values_ = {};
  }
  sketch_->add(value);
}

int64_t Latencies::count() const { return sketch_ ? sketch_->count() : std::ssize(values_); }

double Latencies::mean() const { return sketch_ ? sketch_->mean() : touchstone::mean(values_); }

double Latencies::quantile(double q) const {
  return sketch_ ? sketch_->quantile(q) : touchstone::quantile(values_, q);
}

std::vector<double> Latencies::quantiles(size_t count) const {
  std::vector<double> sorted = values_;
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> found;
  for (size_t i = 0; i < count; ++i) {
    const double q = static_cast<double>(i) / static_cast<double>(count - 1);
    if (sketch_) {
      found.push_back(sketch_->quantile(q));
    } else {
      found.push_back(
          sorted[static_cast<size_t>(q * static_cast<double>(sorted.size() - 1) + 0.5)]);
    }
  }
  return found;
}

}  // namespace touchstone::simulator
