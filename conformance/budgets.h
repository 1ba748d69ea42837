// Latencies of request spans by phase, and budgets on their quantiles. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "conformance/span_view.h"
#include "result/result_model.h"

namespace touchstone::conformance {

/// A quantile of a phase that must not exceed a threshold.
struct Budget {
  std::string phase;  ///< one of known_phases()
  double quantile = 0.95;
  double threshold_s = 0;
  double confidence = 0.95;
  int64_t min_samples = 1;
};

/// Phases that can be read from spans: "queue", "prefill", "ttft", "decode", "inference", "e2e" are
/// the profile's names; "tpot" is decode time over the tokens after the first.
const std::vector<std::string>& known_phases();

/// Keeps the phases of request spans. Beyond kSpansMax spans a uniform sample of them, chosen by
/// their ids, so that memory is bounded and the order of input changes nothing.
class PhaseSamples final {
 public:
  static constexpr size_t kSpansMax = size_t{1} << 17;
  static constexpr size_t kPhases = 7;

  explicit PhaseSamples(const CompiledProfile& profile);

  /// REQUIRES: the view has a type of the profile.
  void add(const SpanView& view);
  /// So many completions that a client waited for in vain: infinite in every phase.
  void add_unanswered(int64_t count) { unanswered_ += count; }

  /// Seconds, in no particular order.
  std::vector<double> of(const std::string& phase);
  int64_t unanswered() const { return unanswered_; }
  int64_t spans() const { return spans_; }

 private:
  struct Row {
    uint64_t hash;
    std::array<double, kPhases> seconds;  // NaN: absent
  };
  static size_t index_of(const std::string& phase);
  void keep_sample();

  struct Places {
    std::array<NumberPlace, kPhases> phases;
    NumberPlace tokens;  // that were sampled
  };
  std::vector<Places> places_;  // by type
  std::vector<Row> rows_;
  int64_t spans_ = 0;
  int64_t unanswered_ = 0;
};

/// Pass when the quantile lies within the threshold with the budget's confidence (one-sided), fail
/// when it lies beyond with that confidence, else unknown.
result::BudgetRow judge_budget(const Budget& budget, const std::vector<double>& samples);

/// The smallest sample with which the budget can pass.
int64_t samples_needed(const Budget& budget);
/// The smallest sample with which it can fail.
int64_t samples_to_fail(const Budget& budget);

}  // namespace touchstone::conformance
