// Step times learned from measured steps: a non-negative combination of five features, so that no
// step ever gets cheaper by doing more. Coefficients by least squares under reweighting (Huber), so
// that a few slow steps of a busy machine do not bend the shape; then scaled so that the total time
// is the measured one. Judged on steps it did not see. Deterministic. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "simulator/steptime/model.h"
#include "simulator/steptime/terms.h"

namespace touchstone::simulator {

struct StepSample {
  StepFeatures features;
  int64_t duration_ns = 0;
};

struct StepTimeFit {
  StepTerms ns = {};                      ///< per unit of each term; all >= 0
  std::vector<std::string> unidentified;  ///< terms the samples say nothing about; 0 in `ns`
  int64_t samples = 0;
  Validity validity;  ///< the range of the samples' features
  /// Over steps that the fit had not seen (five contiguous folds): total predicted over total
  /// measured - 1, and the median of |predicted - measured| / measured.
  double held_out_total_error = 0;
  double held_out_median_error = 0;
};

/// ERRORS: kInvalidArgument when the samples do not identify a model: fewer than 20, or neither
/// prefill nor decode work varies.
Result<StepTimeFit> fit_step_times(std::span<const StepSample> samples);

std::unique_ptr<StepTimeModel> make_fitted_step_time(const StepTimeFit& fit);

}  // namespace touchstone::simulator
