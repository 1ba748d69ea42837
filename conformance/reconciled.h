// What a profile's reconcile rules add up from request spans, for comparison with the metrics.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "conformance/evidence.h"
#include "conformance/matching.h"
#include "conformance/span_view.h"

namespace touchstone::conformance {

inline constexpr double kUnbounded = std::numeric_limits<double>::infinity();

/// What one rule has added up.
struct ReconciledSum {
  SumRange all;          ///< over all request spans: what a counter must have grown by
  SumRange unexplained;  ///< of these, those of no request
  int64_t count = 0;     ///< spans that a histogram must have counted
  int64_t maybe = 0;     ///< and those that it may have
  std::vector<std::pair<std::string, double>> bounds;  ///< of its buckets, as written and as number
  std::vector<int64_t> within;                         ///< spans at or below each bound
};

class Reconciled final {
 public:
  /// Bounds are those of the metrics page.
  Reconciled(const CompiledProfile& profile, const Evidence& evidence);

  /// A request span that was not seen before. Also adds to its request's sums.
  void add(const SpanView& view);
  /// By position in Profile::reconciliations.
  const ReconciledSum& sum(size_t rule) const { return sums_[rule]; }

 private:
  const Profile& profile_;
  bool wanted_;  // there are metrics to compare with
  std::vector<ReconciledSum> sums_;
  std::vector<std::vector<NumberPlace>> places_;  // by type and rule
};

}  // namespace touchstone::conformance
