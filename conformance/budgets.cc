#include "conformance/budgets.h"

#include "base/statistics.h"

namespace touchstone::conformance {

using result::BudgetRow;
using result::Verdict;

std::vector<std::string> known_phases() {
  return {"queue", "prefill", "ttft", "decode", "tpot", "inference", "e2e"};
}

std::vector<double> phase_samples(const SpanIndex& index, const Profile& profile,
                                  const std::string& phase) {
  std::vector<double> samples;
  for (const SpanView& view : index.spans) {
    if (view.type == nullptr || !view.type->is_request) continue;
    if (phase != "tpot") {
      const auto value = SpanIndex::number(view, profile, phase);
      if (value) samples.push_back(*value);
      continue;
    }
    const auto decode = SpanIndex::number(view, profile, "decode");
    const auto tokens = SpanIndex::number(view, profile, "completion_tokens");
    if (decode && tokens && *tokens > 1) samples.push_back(*decode / (*tokens - 1));
  }
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
  row.measured_s = quantile(samples, budget.quantile);
  const auto interval = quantile_interval(samples, budget.quantile, budget.confidence);
  if (!interval) return row;
  row.low_s = interval->low;
  row.high_s = interval->high;
  if (row.samples < budget.min_samples) return row;
  if (interval->high <= budget.threshold_s) row.verdict = Verdict::kPass;
  if (interval->low > budget.threshold_s) row.verdict = Verdict::kFail;
  return row;
}

}  // namespace touchstone::conformance
