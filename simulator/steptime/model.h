// How long a step takes. One file a model; parse.h has the table.
// Thread-compatible. Deterministic: a model may depend on what it was asked before, never on time.
#pragma once

#include <cstdint>
#include <string>

#include "records/step_log.h"
#include "reference_engine/scheduler/types.h"

namespace touchstone::simulator {

/// What of a step its time may depend on. A request with one scheduled token counts as decode
/// whatever the token is, because the work is the same.
struct StepFeatures {
  int64_t step = 0;
  int64_t prefill_tokens = 0;
  int64_t decode_requests = 0;
  int64_t context_tokens = 0;     ///< over decode requests: tokens their attention reads
  int64_t prefill_attention = 0;  ///< over prefill: pairs of a computed token and one it reads
};

StepFeatures features_of(const scheduler::StepPlan& plan);
StepFeatures features_of(const records::StepRecord& step);

class StepTimeModel {
 public:
  virtual ~StepTimeModel() = default;
  /// At least 1 ns: a step that takes no time would let virtual time stand still.
  virtual int64_t duration_ns(const StepFeatures& features) = 0;
  /// For reports: "constant 20 ms", coefficients, ….
  virtual std::string describe() const = 0;
};

}  // namespace touchstone::simulator
