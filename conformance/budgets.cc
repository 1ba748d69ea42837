#include "conformance/budgets.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/statistics.h"
#include "conformance/hash.h"

namespace touchstone::conformance {

using result::BudgetRow;
using result::Verdict;

const std::vector<std::string>& known_phases() {
  static const std::vector<std::string> kPhases = {"queue", "prefill",   "ttft", "decode",
                                                   "tpot",  "inference", "e2e"};
  return kPhases;
}

/// kPhases: it is none.
size_t PhaseSamples::index_of(const std::string& phase) {
  const auto found = std::find(known_phases().begin(), known_phases().end(), phase);
  return static_cast<size_t>(found - known_phases().begin());
}

PhaseSamples::PhaseSamples(const CompiledProfile& profile) {
  for (const CompiledType& type : profile.types()) {
    Places& places = places_.emplace_back();
    for (size_t i = 0; i < kPhases; ++i) places.phases[i] = type.number_of(known_phases()[i]);
    places.tokens = type.number_of("completion_tokens");
  }
}

void PhaseSamples::add(const SpanView& view) {
  constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();
  static const size_t kDecode = index_of("decode");
  static const size_t kTpot = index_of("tpot");
  const Places& places = places_[view.type->index()];
  Row row{Hash64().add(view.span->trace_id).add(view.span->span_id).value(), {}};
  for (size_t i = 0; i < kPhases; ++i) {
    row.seconds[i] = view.number(places.phases[i]).value_or(kAbsent);
  }
  const auto tokens = view.number(places.tokens);
  const auto decode = view.number(places.phases[kDecode]);
  if (decode && tokens && *tokens > 1) row.seconds[kTpot] = *decode / (*tokens - 1);
  rows_.push_back(row);
  ++spans_;
  if (rows_.size() >= 2 * kSpansMax) keep_sample();
}

/// Those with the smallest hashes: each span is as likely as any other.
void PhaseSamples::keep_sample() {
  std::nth_element(rows_.begin(), rows_.begin() + kSpansMax, rows_.end(),
                   [](const Row& a, const Row& b) { return a.hash < b.hash; });
  rows_.resize(kSpansMax);
}

std::vector<double> PhaseSamples::of(const std::string& phase) {
  std::vector<double> samples;
  const size_t index = index_of(phase);
  if (index == kPhases) return samples;
  if (rows_.size() > kSpansMax) keep_sample();
  for (const Row& row : rows_) {
    if (!std::isnan(row.seconds[index])) samples.push_back(row.seconds[index]);
  }
  // As large a part of those without a span as of those with one.
  const double share =
      spans_ == 0 ? 1 : static_cast<double>(rows_.size()) / static_cast<double>(spans_);
  const auto infinite = static_cast<size_t>(std::ceil(static_cast<double>(unanswered_) * share));
  samples.insert(samples.end(), infinite, std::numeric_limits<double>::infinity());
  return samples;
}

BudgetRow judge_budget(const Budget& budget, const std::vector<double>& samples) {
  BudgetRow row{.phase = budget.phase,
                .quantile = budget.quantile,
                .threshold_s = budget.threshold_s,
                .measured_s = std::nullopt,
                .low_s = std::nullopt,
                .high_s = std::nullopt,
                .confidence = budget.confidence,
                .samples = static_cast<int64_t>(samples.size()),
                .verdict = Verdict::kUnknown};
  if (samples.empty()) return row;
  const auto finite = [](std::optional<double> value) {
    return value && std::isfinite(*value) ? value : std::nullopt;
  };
  const auto low = quantile_lower_bound(samples, budget.quantile, budget.confidence);
  const auto high = quantile_upper_bound(samples, budget.quantile, budget.confidence);
  row.measured_s = finite(quantile(samples, budget.quantile));
  row.low_s = finite(low);
  row.high_s = finite(high);
  if (row.samples < budget.min_samples) return row;
  if (high && *high <= budget.threshold_s) row.verdict = Verdict::kPass;
  if (low && *low > budget.threshold_s) row.verdict = Verdict::kFail;
  return row;
}

int64_t samples_needed(const Budget& budget) {
  return std::max(budget.min_samples,
                  quantile_upper_bound_samples(budget.quantile, budget.confidence));
}

int64_t samples_to_fail(const Budget& budget) {
  return std::max(budget.min_samples,
                  quantile_lower_bound_samples(budget.quantile, budget.confidence));
}

}  // namespace touchstone::conformance
